"""Train a Synchformer, stage after stage, each resuming where it stopped.

python -m training.run unimodal --out runs/mini               # each encoder alone learns what happens when
python -m training.run avclip   --out runs/mini               # stage I: Segment AVCLIP (equation 4)
python -m training.run sync     --out runs/mini               # stage II: synchronization module on frozen features
python -m training.run synchronizability --out runs/mini      # section 4.2: can picture and sound be matched at all?
python -m training.run export   --out runs/mini --to assets/mini.safetensors
python -m training.run baseline --out runs/avst --model avst  # table 1's baselines, end to end; sparsesync likewise
python -m training.run export   --out runs/avst --of baseline --to runs/avst/model.safetensors

python -m training.run avclip   --out runs/mine --data folder:videos --init mini      # your own videos, the same stages
python -m training.run sync     --out runs/vgg --data vggsound:vggsound --annotations lists --preset base --recipe paper

python -m training.run sync     --out runs/mini --config configs/mini.yaml    # settings from a file; a run writes one

torchrun --nproc-per-node 8 -m training.run sync ...          # the same on many GPUs (nccl) or processes (gloo)

The recipe's values hold first, those of --config go before them, and those of the command line before both.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import torch

from synchformer.cli.terminal import command
from synchformer.config import PRESETS, SynchformerConfig
from training.config.ablations import NAMES, ablate
from training.config.command_line import add_options, given_settings
from training.config.config_file import CONFIG, RECIPES, read_config, write_config
from training.config.fields import settings_of
from training.config.names import STAGES, Exported, Stage
from training.config.optimization import OptimConfig
from training.config.stage_config import StageConfig
from training.readers.stage_data import StageData
from training.runtime.distributed import world
from training.stages.builder import build_task
from training.stages.export import export_model
from training.trainer.divergence import DivergedError
from training.trainer.loop import train

EXPORTS = get_args(Exported)


@command
def main(argv: list[str] | None = None) -> int:
    """Run one stage; returns the exit status: 0 done, 1 diverged or unusable input, 2 wrong usage."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        if arguments.stage == "export":
            print(export_model(arguments.out, exported_config(arguments), arguments.to, arguments.of))
        else:
            run_stage(stage_config(arguments))
    except (DivergedError, ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run_stage(request: StageConfig) -> None:
    """Check the data, build the stage's task and train it; see `training.trainer.loop.train`.

    Raises:
        ValueError: data or weights that cannot be used.
        FileNotFoundError: when the stage before was not run in this folder.
        DivergedError: as `train`.
    """
    with world(request.device) as group:
        torch.manual_seed(request.options.seed)
        data = StageData(request, group.leads)
        if group.leads:
            print(data.check())
        group.wait()  # what the leading process looks into, renders and encodes, the others read
        request = replace(request, options=request.options.for_clips(data.count, group.size))
        task = build_task(request, data) if group.leads else None
        group.wait()
        torch.manual_seed(request.options.seed)
        task = task or build_task(request, data)
        folder = request.out / request.stage
        if group.leads:
            folder.mkdir(parents=True, exist_ok=True)
            write_config(request, folder / CONFIG)
        train(task, request.options, folder, group, request.about())


def stage_config(arguments: argparse.Namespace) -> StageConfig:
    """What a command asks for: its own values, before those of its file, before those of the recipe.

    Raises:
        ValueError: a file that cannot be used, or as `StageConfig`.
    """
    stage: Stage = arguments.stage
    asked = {name: value for name, value in vars(arguments).items() if name not in ("stage", "out", "config")}
    for kind in (StageConfig, OptimConfig):
        asked |= given_settings(arguments, kind)
    file = read_config(arguments.config, stage) if "config" in arguments else {}
    recipe = RECIPES[asked.get("recipe", file.get("recipe", "here"))]
    if "preset" in asked:
        file.pop("sizes", None)
    values = read_config(recipe, stage) | file | asked
    config, choices = model_sizes(values, stage)
    options, own = (
        {name: values[name] for name in settings_of(kind) if name in values} for kind in (OptimConfig, StageConfig)
    )
    request = StageConfig(stage, arguments.out, config, OptimConfig(**options), **{**own, **choices})
    if request.options.epochs and {"steps", "valid_every"} & set(asked):
        raise ValueError(
            f"--epochs {request.options.epochs:g} sets --steps and --valid-every; leave them out, or add --epochs 0"
        )
    return request


def model_sizes(values: dict[str, Any], stage: Stage) -> tuple[SynchformerConfig, dict[str, Any]]:
    """The sizes that settings ask for, and the settings of the stage that ablations change.

    Raises:
        ValueError: unknown preset or ablation, or sizes that do not fit together.
    """
    preset, sizes, ablations = values.get("preset", "mini"), values.get("sizes", {}), values.get("ablation", ())
    if preset not in PRESETS:
        raise ValueError(f"there is no preset {preset}; choose from {', '.join(sorted(PRESETS))}")
    if sizes and ablations:
        raise ValueError("ablations change the sizes of a preset, and the file has sizes; leave out one of them")
    config, choices = ablate(SynchformerConfig.from_dict(asdict(PRESETS[preset]) | sizes), ablations)
    known = settings_of(StageConfig, stage)
    return config, {name: value for name, value in choices.items() if name in known}


def exported_config(arguments: argparse.Namespace) -> SynchformerConfig:
    """The sizes that are asked for; where none are, those that the run wrote down."""
    file = arguments.out / arguments.of / CONFIG
    asked = {name: value for name in ("preset", "ablation") if (value := vars(arguments).get(name))}
    if not asked and file.exists():
        asked = read_config(file, arguments.of)
    return model_sizes(asked, arguments.of)[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.run", description=__doc__.splitlines()[0])
    stages = parser.add_subparsers(dest="stage", required=True)
    for name in STAGES:
        stage = stages.add_parser(name, argument_default=argparse.SUPPRESS)
        _add_model(stage)
        stage.add_argument("--config", type=Path, help="YAML file of settings, such as one that a run wrote")
        stage.add_argument(
            "--recipe", choices=sorted(RECIPES), help="here: for two cores; paper: the published values (default here)"
        )
        add_options(stage, StageConfig, name)
        add_options(stage, OptimConfig, name, read_config(RECIPES["here"], name))
    export = stages.add_parser("export", argument_default=argparse.SUPPRESS)
    _add_model(export)
    export.add_argument("--to", type=Path, required=True, help="the safetensors file to write")
    export.add_argument("--of", choices=EXPORTS, default="sync", help="whose module to write")
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; the stages find each other there")
    parser.add_argument("--preset", choices=sorted(PRESETS), help="sizes of the model (default mini)")
    parser.add_argument(
        "--ablation", action="append", choices=NAMES, help="what to leave out (training/config/ablations.py)"
    )


if __name__ == "__main__":
    sys.exit(main())
