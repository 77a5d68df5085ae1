"""`synchformer scan`: the offset over a whole video."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from synchformer.cli.options import Commands, add_model, bar, complain, experience_of, load, seconds
from synchformer.cli.terminal import print_json
from synchformer.errors import sentence_of
from synchformer.storage.json_text import to_json

if TYPE_CHECKING:
    from synchformer.offsets.timeline import Timeline


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("scan", help="measure the offset over a whole video: constant, drifting or jumping")
    parser.add_argument("video", metavar="VIDEO", help="a video file with sound, of any length")
    add_model(parser)
    parser.add_argument("--every", type=seconds, default=1.92, help="seconds between windows (default: 1.92)")
    parser.add_argument("--reach", type=seconds, default=2.0, help="seconds that the sound is shifted either way; "
                        "offsets up to this plus the model's own 2 s are found (default: 2)")  # fmt: skip
    parser.add_argument("--start", type=seconds, default=0.0, help="first second (default: 0)")
    parser.add_argument("--stop", type=seconds, help="last second (default: the end)")
    parser.add_argument(
        "--synchronizability", metavar="MODEL", help="also ask this model whether a window can be matched"
    )
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write everything as JSON (default: print it)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a row per window")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the timeline as .png, .svg or .pdf")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Scan one video; status 1 when it cannot be."""
    from synchformer.offsets.scan import scan

    try:
        if options.picture:
            from synchformer.offsets.plots import check_suffix

            check_suffix(options.picture)
    except ValueError as error:
        return complain(f"synchformer scan: {error}", 2)
    model = load("scan", options.model, options.device)
    other = options.synchronizability and load("scan", options.synchronizability, options.device)
    try:
        with bar("scan") as move:
            timeline = scan(
                model,
                options.video,
                every=options.every,
                reach=options.reach,
                start=options.start,
                stop=options.stop,
                synchronizability=other or None,
                precision=options.precision,
                progress=move,
            )
        _write(timeline, options)
    except (ValueError, OSError, MemoryError) as error:
        return complain(f"{options.video}\n  {sentence_of(error)}")
    if options.json != "-":
        print(f"{options.video}\n{as_text(timeline)}\n  {experience_of(options.model)}")
    return 0


def _write(timeline: Timeline, options: argparse.Namespace) -> None:
    from synchformer.storage.atomic import atomic_write

    if options.json:
        if options.json == "-":
            print_json(timeline.as_dict())
        else:
            text = to_json(timeline.as_dict())
            with atomic_write(Path(options.json)) as part:
                part.write_text(text, encoding="utf-8")
    if options.csv:
        with atomic_write(options.csv) as part:
            part.write_text(timeline.as_csv(), encoding="utf-8")
    if options.picture:
        from synchformer.offsets.plots import draw_timeline, save

        save(draw_timeline(timeline), options.picture)


def as_text(timeline: Timeline) -> str:
    """What a person reads: the sentence, how likely each explanation is, what recommendations say, and the cost."""
    shares = ", ".join(f"{kind} {share:.1%}" for kind, share in timeline.probability.items())
    length = timeline.moments[-1].stop - timeline.moments[0].start
    speed = length / timeline.took if timeline.took else 0.0
    lines = [
        f"  {timeline.sentence}",
        "",
        f"  explanations: {shares}",
        *(f"  {verdict.sentence}" for verdict in timeline.verdicts),
        "",
        f"  {timeline.model}, {len(timeline.moments)} windows over {length:.0f} s in {timeline.took:.1f} s "
        f"({speed:.1f} times real time); {timeline.calibration_note}",
        *(f"  {note}" for note in timeline.notes),
    ]
    return "\n".join(lines)
