"""`synchformer predict`: the offset of each video, as text, JSON or a table."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synchformer.cli.options import Commands, add_model, bar, complain, count, experience_of, load, seconds, share
from synchformer.cli.terminal import can_print, print_json
from synchformer.errors import sentence_of
from synchformer.storage.file_names import printable

if TYPE_CHECKING:
    from synchformer.consensus.consensus import Tested
    from synchformer.inference.prediction import Prediction, Synchronizability
    from synchformer.modeling.synchformer import Synchformer
    from synchformer.offsets.continuous import FineEstimate

BAR_WIDTH = 30  # characters for a probability of 1
EIGHTHS = " ▏▎▍▌▋▊▉"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("predict", help="measure the offset of each video")
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="a video file with sound, or a folder with --out")
    add_model(parser)
    parser.add_argument("--start", type=seconds, default=0.0, help="first second of the crop (default: 0)")
    parser.add_argument("--single", action="store_true", help="one answer, not tested by moving the sound: quick, and "
                        "often wrong where the model does not understand the clip")  # fmt: skip
    parser.add_argument(
        "--offset",
        type=seconds,
        default=0.0,
        help="move the sound this many seconds earlier before asking; one answer, not tested",
    )
    parser.add_argument("--fine", action="store_true", help="finer than a class, with an interval; reads 10 s")
    parser.add_argument("--json", action="store_true", help="one JSON object per video and line")
    parser.add_argument("--top", type=count, default=5, help="how many offsets the table lists (default: 5)")
    parser.add_argument(
        "--as-published",
        action="store_true",
        help="cut times as the published code does (truncated); one answer, not tested",
    )
    parser.add_argument("--out", type=Path, help="write a row per video to this .csv or .parquet; goes on if it exists")
    parser.add_argument("--recursive", action="store_true", help="look into the folders of a folder too")
    parser.add_argument(
        "--prior",
        type=share,
        help="with --out: the share of videos believed to be in sync (default: all offsets alike)",
    )
    parser.add_argument("--workers", type=count, default=os.cpu_count() or 1, help="with --out: threads that decode")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Measure every video; status 1 when one failed."""
    wrong = _contradiction(options)
    if wrong:
        return complain(f"synchformer predict: {wrong}", 2)
    model = load("predict", options.model, options.device)
    if options.out:
        return _write_table(model, options)
    failed = False
    for video in options.videos:
        record = _measure(model, video, options)
        failed |= "error" in record
        _show(record, options)
    return 1 if failed else 0


def _contradiction(options: argparse.Namespace) -> str | None:
    moved = options.offset or options.as_published
    if options.fine and moved:
        return "--fine measures the file as it is; leave out --offset and --as-published"
    if options.fine and options.single:
        return "--fine combines many answers; leave out --single"
    if options.out and (options.fine or options.json or moved or options.single):
        return "--out writes a table of tested answers; leave out --fine, --json, --single, --offset and --as-published"
    if not options.out and (options.recursive or options.prior):
        return "--recursive and --prior are for tables; add --out table.csv"
    return None


def _write_table(model: Synchformer, options: argparse.Namespace) -> int:
    from synchformer.consensus.batch import write_table
    from synchformer.storage.video_files import find_videos

    files: list[Path] = []
    others: list[Path] = []
    try:
        for name in map(Path, options.videos):
            videos, rest = find_videos(name, options.recursive) if name.is_dir() else ([name], [])
            files, others = [*files, *videos], [*others, *rest]
        with bar("videos", "videos") as move:
            counts = write_table(
                model,
                files,
                options.out,
                model_name=options.model,
                start=options.start,
                prior=options.prior,
                workers=options.workers,
                precision=options.precision,
                progress=move,
            )
    except (ValueError, OSError) as error:
        return complain(f"synchformer predict: {sentence_of(error)}", 2)
    print(f"{options.out}: {counts['measured']} measured, {counts['failed']} failed, {counts['kept']} from before; "
          f"{len(others)} other files have no video's suffix")  # fmt: skip
    return 1 if counts["failed"] else 0


def _measure(model: Synchformer, video: str, options: argparse.Namespace) -> dict[str, Any]:
    """One video's result, or its error as a sentence; nothing a file does may stop the batch."""
    record = {"video": printable(video), "model": options.model, "start": options.start}
    try:
        return record | _result(model, video, options)
    except (ValueError, OSError, MemoryError) as error:
        return {"video": printable(video), "error": sentence_of(error)}


def _result(model: Synchformer, video: str, options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, under the name of its kind.

    Raises:
        ValueError: as what is asked.
    """
    from synchformer.inference.prediction import Synchronizability, predict_file

    place = {"start": options.start, "precision": options.precision}
    if options.fine:
        from synchformer.offsets.continuous import fine

        return {"fine": fine(model, video, **place)}
    if not (options.single or options.offset or options.as_published) and model.config.head == "offset":
        from synchformer.consensus.consensus import ask_tested

        with bar("places", "places") as move:
            return {"tested": ask_tested(model, video, **place, progress=move)}
    result = predict_file(model, Path(video), **place, offset=options.offset, as_published=options.as_published)
    if isinstance(result, Synchronizability):
        from synchformer.consensus.shared import with_doubt

        result = with_doubt(result, model)
    return {"result": result}


def _show(record: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print_json(as_json(record))
    elif "error" in record:
        complain(f"{record['video']}\n  {record['error']}\n")
    else:
        print(f"{record['video']}\n{_text(record, options.top)}\n  {experience_of(record['model'])}\n", flush=True)


def _text(record: dict[str, Any], top: int) -> str:
    if "fine" in record:
        return fine_text(record)
    return tested_text(record, top) if "tested" in record else as_text(record, top)


def as_json(record: dict[str, Any]) -> dict[str, Any]:
    """The fields that `--json` prints for one video; numbers are seconds and probabilities."""
    if "error" in record:
        return {"video": record["video"], "error": record["error"]}
    head = {name: record[name] for name in ("video", "model")}
    if "fine" in record:
        estimate: FineEstimate = record["fine"]
        return head | estimate.as_dict()
    if "tested" in record:
        tested: Tested = record["tested"]
        return head | {"start": record["start"]} | tested.as_dict() | {"seen": experience_of(record["model"])}
    from synchformer.inference.prediction import Synchronizability

    result: Prediction | Synchronizability = record["result"]
    head |= {"start": record["start"], "applied_offset": result.applied_offset}
    if isinstance(result, Synchronizability):
        return head | {"synchronizability": result.probability, "sentence": result.sentence, "notes": result.notes}
    names = ("offset", "confidence", "grid", "probabilities", "sentence", "notes")
    return head | {name: getattr(result, name) for name in names}


def tested_text(record: dict[str, Any], top: int) -> str:
    """The tested answer, how it was tested, and the single answer that it rests on, named as such."""
    tested: Tested = record["tested"]
    consensus, single = tested.consensus, tested.single
    lines = [f"  {consensus.sentence}", f"  {consensus.note}", ""]
    lines += [f"  one answer, not tested ({record['start']:g} s, the sound where it is):"]
    lines += [f"  {offset:+5.1f} s {part:6.1%}  {_bar(part)}" for offset, part in single.top(top)] + [""]
    lines += [f"  {record['model']} from {', '.join(f'{start:g}' for start in tested.starts)} s, "
              f"{consensus.places} answers in {tested.seconds:.1f} s"]  # fmt: skip
    return "\n".join(line.rstrip() for line in [*lines, *(f"  {note}" for note in single.notes)])


def as_text(record: dict[str, Any], top: int) -> str:
    """The table a person reads: the sentence, the likeliest offsets with bars, and the times."""
    from synchformer.inference.prediction import Prediction, offset_in_words

    result: Prediction | Synchronizability = record["result"]
    moved = f", the sound moved: {offset_in_words(result.applied_offset)}" if result.applied_offset else ""
    lines = [f"  {result.sentence}", ""]
    if isinstance(result, Prediction):
        lines += [f"  {offset:+5.1f} s {part:6.1%}  {_bar(part)}" for offset, part in result.top(top)] + [""]
    lines += [f"  {record['model']} from {record['start']:g} s{moved}", f"  {result.timing.sentence}"]
    return "\n".join(line.rstrip() for line in [*lines, *(f"  {note}" for note in result.notes)])


def fine_text(record: dict[str, Any]) -> str:
    """A fine estimate with what recommendations say about it."""
    estimate: FineEstimate = record["fine"]
    lines = [f"  {estimate.sentence}", "", *(f"  {verdict.sentence}" for verdict in estimate.verdicts), ""]
    lines += [f"  {record['model']} on {estimate.start:g} to {estimate.stop:g} s; {estimate.calibration_note}"]
    return "\n".join([*lines, *(f"  {note}" for note in estimate.notes)])


def _bar(part: float) -> str:
    if not can_print(EIGHTHS):
        return "#" * round(part * BAR_WIDTH)
    whole, rest = divmod(round(part * BAR_WIDTH * 8), 8)
    return "█" * whole + EIGHTHS[rest].strip()
