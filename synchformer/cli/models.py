"""`synchformer models`: the checkpoints known by name."""

from __future__ import annotations

import argparse

from synchformer.cli.options import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("models", help="list the checkpoints known by name")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print a line per checkpoint."""
    from synchformer.checkpoints.registry import CHECKPOINTS

    answers = {"I": "features, for load_avclip", "II": "offset", "III": "synchronizability"}
    width = max(map(len, CHECKPOINTS))
    for name, checkpoint in CHECKPOINTS.items():
        place = "downloaded once" if checkpoint.sources else "embedded"
        print(f"{name:{width}}  stage {checkpoint.stage:3}  {answers[checkpoint.stage]}; {checkpoint.data}; {place}")
    return 0
