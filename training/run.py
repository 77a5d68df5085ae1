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

torchrun --nproc-per-node 8 -m training.run sync ...          # the same on many GPUs (nccl) or processes (gloo)
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any, get_args

import torch

from synchformer.config import PRESETS
from synthetic import KINDS
from training.augmentation.policy import Augment
from training.config.ablations import NAMES, ablate
from training.config.names import BASELINE_KINDS, Exported
from training.config.optimization import CPU_RECIPE, RECIPES, OptimConfig
from training.config.request import StageConfig
from training.readers.stage_data import StageData
from training.runtime.distributed import world
from training.stages.builder import build_task
from training.stages.export import export_model
from training.trainer.divergence import DivergedError
from training.trainer.loop import train

AUGMENTS: dict[str, Augment] = {"here": "light", "paper": "published"}
EXPORTS = get_args(Exported)


def main(argv: list[str] | None = None) -> int:
    """Run one stage; returns the exit status: 0 done, 1 diverged or unusable input, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.stage == "export":
            config, _ = ablate(PRESETS[arguments.preset], arguments.ablation)
            print(export_model(arguments.out, config, arguments.to, arguments.of))
            return 0
        _run(arguments)
    except (DivergedError, ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    with world(arguments.device) as here:
        options = RECIPES[arguments.recipe][arguments.stage].with_values(**_given(arguments, OptimConfig))
        torch.manual_seed(options.seed)
        config, choices = ablate(PRESETS[arguments.preset], arguments.ablation)
        given = {"augment": AUGMENTS[arguments.recipe], **_given(arguments, StageConfig), **choices}
        request = StageConfig(config=config, options=options, **given)
        data = StageData(arguments.stage, request, here.leads)
        if here.leads:
            print(data.check())
        here.wait()  # what the leading process looks into, renders and encodes, the others read
        options = options.for_clips(data.count, here.size)
        request = replace(request, options=options)
        task = build_task(arguments.stage, request, data) if here.leads else None
        here.wait()
        torch.manual_seed(options.seed)
        task = task or build_task(arguments.stage, request, data)
        train(task, options, arguments.out / arguments.stage, here, request.about())


def _given(arguments: argparse.Namespace, kind: type[OptimConfig] | type[StageConfig]) -> dict[str, Any]:
    """The arguments that are fields of a dataclass."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in vars(arguments).items() if name in names}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.run", description=__doc__.splitlines()[0])
    stages = parser.add_subparsers(dest="stage", required=True)
    for name, defaults in CPU_RECIPE.items():
        stage = stages.add_parser(name, argument_default=argparse.SUPPRESS)
        _common(stage)
        _request(stage)
        if name in ("unimodal", "baseline"):
            stage.add_argument(
                "--model", choices=BASELINE_KINDS, required=name == "baseline", help="which baseline (table 1)"
            )
        for field in fields(OptimConfig):
            _option(stage, field, defaults)
    export = stages.add_parser("export")
    _common(export)
    export.add_argument("--to", type=Path, required=True, help="the safetensors file to write")
    export.add_argument("--of", choices=EXPORTS, default="sync", help="whose module to write")
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; the stages find each other there")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="mini", help="sizes of the model")
    parser.add_argument(
        "--ablation", action="append", choices=NAMES, default=[], help="what to leave out (training/ablations.py)"
    )


def _request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", help="data set: synthetic:SEED (default synthetic:0), folder:DIR, vggsound:DIR, ...")
    parser.add_argument(
        "--annotations", type=Path, help="folder of the published lists, for the data sets that need it"
    )
    parser.add_argument("--count", type=int, help="clips to train on (default 1000 generated ones, or all there are)")
    parser.add_argument(
        "--held-out", type=int, help="clips to validate on (default 60 generated ones, or all there are)"
    )
    parser.add_argument("--valid-crops", type=int, help="crops (stage I: clips) of a validation (default 512; 24)")
    parser.add_argument("--without", nargs="+", choices=KINDS, help="kinds of generated events that are left out")
    parser.add_argument("--unchecked", action="store_true", help="train although the check of the data finds errors")
    parser.add_argument("--workers", type=int, help="processes that render or encode clips; 0: this one (default 2)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--augment", choices=get_args(Augment), help="random changes (default: light; published in paper)"
    )
    parser.add_argument("--views", type=int, help="crops of the picture in cached features; the first is the center")
    parser.add_argument(
        "--init", help="name or file of a trained model to go on from; of stage I (avclip-vggsound), its encoders"
    )
    parser.add_argument(
        "--module", help="name or file of a trained model whose synchronization module sync starts from"
    )
    parser.add_argument("--audio-init", help="AST of AudioSet for the audio encoder: a file, or hub to download it")
    parser.add_argument("--video-init", help="Motionformer of Something-Something v2 for the video encoder (.pyth)")
    parser.add_argument(
        "--recipe", choices=sorted(RECIPES), default="here", help="here: for two cores; paper: the published values"
    )
    parser.add_argument("--trained-extractors", action="store_true", help="train the encoders too, on pixels")
    parser.add_argument("--no-cache", dest="cached", action="store_false", help="encode every crop anew")
    parser.add_argument(
        "--resident", action="store_true", help="keep rendered clips in the GPU's memory: batches then cost little"
    )
    parser.add_argument("--replace", type=float, help="largest share of moments that sync fills from other clips")
    parser.add_argument("--revoice", type=float, help="share of crops in sync that get another clip's sound, in time")
    parser.add_argument("--sounds", type=int, help="crops that share a picture, where pictures are encoded (default 1)")
    parser.add_argument("--labels", choices=("truth", "published"), help="what counts as synchronizable")
    parser.add_argument("--published-positions", action="store_true", help="cut the position table as published")


def _option(parser: argparse.ArgumentParser, field: Field[Any], defaults: OptimConfig) -> None:
    name, default = f"--{field.name.replace('_', '-')}", getattr(defaults, field.name)
    text = f"{field.metadata['help']} (default {default})"
    if isinstance(default, bool):
        parser.add_argument(name, action=argparse.BooleanOptionalAction, help=text)
    else:
        parser.add_argument(name, type=type(default), help=text)


if __name__ == "__main__":
    sys.exit(main())
