"""`synchformer fix`: a copy of a video with its sound in place, and the proof."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from synchformer.cli.options import Commands, add_model, bar, complain, load, seconds
from synchformer.cli.terminal import print_json
from synchformer.errors import sentence_of

if TYPE_CHECKING:
    from synchformer.offsets.repair import Stage


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("fix", help="write a copy whose sound is in place, and measure it before and after")
    parser.add_argument("video", metavar="VIDEO", help="a video file with sound; it is never changed")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the copy; its suffix names the container")
    add_model(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--offset", type=seconds, help="the file's offset, where it is known: above zero, the sound is "
                     "early and will be moved later")  # fmt: skip
    how.add_argument("--measure", action="store_true", help="measure the offset (default)")
    parser.add_argument(
        "--resample", action="store_true", help="undo a drift by resampling the sound (encodes it again)"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="write even where the evidence is weak or much of the video could not be measured",
    )
    parser.add_argument("--reach", type=seconds, default=2.0, help="as in scan (default: 2)")
    parser.add_argument("--no-proof", action="store_true", help="with --offset: do not measure the copy")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the copy; status 1 when that was refused or failed."""
    from synchformer.offsets.repair import RefusedError, fix

    if options.no_proof and options.offset is None:
        return complain("synchformer fix: --no-proof needs --offset, for measuring is how the offset is found", 2)
    model = None if options.no_proof else load("fix", options.model, options.device)
    try:
        with bar("fix") as move:

            def progress(stage: Stage, done: float, total: float) -> None:
                del stage
                move(done, total)

            made = fix(
                model,
                options.video,
                options.out,
                offset=options.offset,
                resample=options.resample,
                force=options.force,
                reach=options.reach,
                precision=options.precision,
                progress=progress,
            )
    except RefusedError as error:
        return complain(f"{options.video}\n  {error}\n  (--resample undoes a drift, --force writes all the same)")
    except (ValueError, OSError, MemoryError) as error:
        return complain(f"{options.video}\n  {sentence_of(error)}")
    if options.json:
        print_json(made.as_dict())
    else:
        print(f"{options.video}\n{_indented(made.sentence)}")
    return 0


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
