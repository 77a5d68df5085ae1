"""Train a Synchformer, stage after stage, each resuming where it stopped.

python -m training.run unimodal --out runs/mini               # each encoder alone learns what happens when
python -m training.run avclip   --out runs/mini               # stage I: Segment AVCLIP (equation 4)
python -m training.run sync     --out runs/mini               # stage II: synchronization module on frozen features
python -m training.run export   --out runs/mini --to assets/mini.safetensors
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path

import torch

from synchformer.config import PRESETS, SynchformerConfig
from training.avclip import AVCLIPTask, Stage1
from training.clips import HELD_OUT, ClipPool, Recipe
from training.features import FeatureCache
from training.loop import DivergedError, train
from training.options import STAGE_OPTIONS, Options
from training.state import load_state
from training.sync import SyncTask
from training.unimodal import EventHeads, UnimodalTask


def main(argv: list[str] | None = None) -> int:
    """Run one stage; returns the exit status: 0 done, 1 diverged or unusable input, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    if arguments.stage == "export":
        from training.export import export_model

        print(export_model(arguments.out, PRESETS[arguments.preset], arguments.to))
        return 0
    options = _options(arguments)
    torch.manual_seed(options.seed)
    try:
        _STAGES[arguments.stage](arguments, PRESETS[arguments.preset], options)
    except (DivergedError, ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.run", description=__doc__.splitlines()[0])
    stages = parser.add_subparsers(dest="stage", required=True)
    for name, defaults in STAGE_OPTIONS.items():
        stage = stages.add_parser(name)
        _common(stage)
        stage.add_argument("--data", default="synthetic:0", help="synthetic:SEED, generated clips from this seed on")
        stage.add_argument("--count", type=int, default=1000, help="clips to train on")
        stage.add_argument("--held-out", type=int, default=60, help="clips to validate on, never trained on")
        stage.add_argument("--workers", type=int, default=2, help="processes that render clips; 0: this one")
        for field in fields(Options):
            kind = type(field.default)
            text = f"{field.metadata['help']} (default {getattr(defaults, field.name)})"
            stage.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=None, help=text)
    export = stages.add_parser("export")
    _common(export)
    export.add_argument("--to", type=Path, required=True, help="the safetensors file to write")
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; the stages find each other there")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="mini", help="sizes of the model")


def _options(arguments: argparse.Namespace) -> Options:
    given = {field.name: getattr(arguments, field.name) for field in fields(Options)}
    return STAGE_OPTIONS[arguments.stage].with_values(**given)


def _recipes(arguments: argparse.Namespace) -> tuple[Recipe, Recipe]:
    source, _, seed = arguments.data.partition(":")
    if source != "synthetic" or not seed.isdecimal() or int(seed) >= HELD_OUT:
        raise ValueError(f"--data must be synthetic:SEED with a seed below {HELD_OUT}, not {arguments.data!r}")
    recipe = Recipe(seed=int(seed), count=arguments.count)
    return recipe, replace(recipe, seed=HELD_OUT, count=arguments.held_out)


def _pools(arguments: argparse.Namespace, config: SynchformerConfig) -> tuple[ClipPool, ClipPool]:
    trained, held_out = _recipes(arguments)
    folder = arguments.out / "clips"
    return (
        ClipPool(folder / "train", trained, config, arguments.workers),
        ClipPool(folder / "held-out", held_out, config, arguments.workers),
    )


def _unimodal(arguments: argparse.Namespace, config: SynchformerConfig, options: Options) -> None:
    train(UnimodalTask(config, *_pools(arguments, config), options.batch), options, arguments.out / "unimodal")


def _avclip(arguments: argparse.Namespace, config: SynchformerConfig, options: Options) -> None:
    heads = _heads(arguments.out, config)
    train(AVCLIPTask(config, *_pools(arguments, config), options.batch, heads), options, arguments.out / "avclip")


def _sync(arguments: argparse.Namespace, config: SynchformerConfig, options: Options) -> None:
    encoders = _stage1(arguments.out, config)
    trained, held_out = _recipes(arguments)
    caches = [
        FeatureCache(arguments.out / "features" / name, recipe, config, *encoders, arguments.workers)
        for name, recipe in (("train", trained), ("held-out", held_out))
    ]
    train(SyncTask(config, caches[0], caches[1], options.batch), options, arguments.out / "sync")


def _heads(out: Path, config: SynchformerConfig) -> EventHeads | None:
    """The unimodal start's encoders and heads, or None when that stage was not run."""
    state = load_state(out / "unimodal" / "state.pt")
    if state is None:
        print(f"{out / 'unimodal'} holds no state: stage I starts from random encoders", file=sys.stderr)
        return None
    heads = EventHeads(config)
    heads.load_state_dict(state["model"])
    return heads


def _stage1(out: Path, config: SynchformerConfig) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The encoders of stage I.

    Raises:
        FileNotFoundError: when stage I was not run in this folder.
    """
    state = load_state(out / "avclip" / "state.pt")
    if state is None:
        raise FileNotFoundError(f"{out / 'avclip'} holds no state; run the stage avclip with the same --out first")
    heads = EventHeads(config) if any(name.startswith("heads.") for name in state["model"]) else None
    stage = Stage1(config, heads)
    stage.load_state_dict(state["model"])
    return stage.avclip.video_encoder, stage.avclip.audio_encoder


_STAGES = {"unimodal": _unimodal, "avclip": _avclip, "sync": _sync}

if __name__ == "__main__":
    sys.exit(main())
