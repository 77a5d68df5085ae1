"""How far is the sound of a video off? From a shell.

    python -m synchformer predict clip.mp4
    python -m synchformer predict clip.mp4 --fine
    python -m synchformer predict *.mp4 --json > offsets.jsonl
    python -m synchformer predict film.mkv --start 61.5 --offset 0.4 --model audioset --device cuda
    python -m synchformer predict clip.mp4 --model synchronizability
    python -m synchformer predict clips/ --recursive --out table.csv
    python -m synchformer scan film.mkv --picture film.png
    python -m synchformer fix film.mkv -o fixed.mkv
    python -m synchformer desync generated/ --mode avbench --model audioset
    python -m synchformer models

Exit status: 0 when everything was measured, 1 when a video failed or a correction was refused, 2 when the command
itself was wrong, 141 when nobody reads the output any more.
"""

from __future__ import annotations

import argparse

from synchformer.cli import desync, fix, models, predict, scan
from synchformer.cli.options import NoModelError, complain
from synchformer.cli.terminal import command


@command
def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status (see the top of this file)."""
    parser = _parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:  # argparse leaves the process; callers of main() want the status
        return int(stop.code or 0)
    try:
        status: int = options.run(options)
    except NoModelError as error:
        return complain(str(error), error.status)
    except KeyboardInterrupt:
        return complain("stopped; what was finished is kept", 130)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="synchformer",
        description="Measure how far the sound of a video is off. An offset above zero means that the sound is early.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (predict, scan, fix, desync, models):
        module.add(commands)
    return parser
