"""How far is the sound of a video off? From a shell.

    python -m synchformer predict clip.mp4
    python -m synchformer predict *.mp4 --json > offsets.jsonl
    python -m synchformer predict film.mkv --start 61.5 --offset 0.4 --model audioset --device cuda
    python -m synchformer predict clip.mp4 --model synchronizability
    python -m synchformer models

Exit status: 0 when every video was measured, 1 when one failed, 2 when the command itself was wrong.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch is imported when a model is needed: `--help` answers at once
    from synchformer.model import Synchformer
    from synchformer.prediction import Prediction, Synchronizability

BAR_WIDTH = 30  # characters for a probability of 1
EIGHTHS = " ▏▎▍▌▋▊▉"


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status (see the top of this file)."""
    parser = _parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:  # argparse leaves the process; callers of main() want the status
        return int(stop.code or 0)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="synchformer",
        description="Measure how far the sound of a video is off. An offset above zero means that the sound is early.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_predict(commands)
    _add_models(commands)
    return parser


def _add_predict(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("predict", help="measure the offset of each video")
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="a video file with sound")
    parser.add_argument("--model", default="mini", help="a name from `synchformer models`, or a file (default: mini)")
    parser.add_argument("--start", type=_seconds, default=0.0, help="first second of the crop (default: 0)")
    parser.add_argument(
        "--offset", type=_seconds, default=0.0, help="move the sound this many seconds earlier before asking"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 on CUDA, fp32 on the CPU"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per video and line")
    parser.add_argument("--top", type=_count, default=5, help="how many offsets the table lists (default: 5)")
    parser.add_argument("--as-published", action="store_true", help="cut times as the published code does (truncated)")
    parser.set_defaults(run=_run_predict)


def _add_models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("models", help="list the checkpoints known by name")
    parser.set_defaults(run=_run_models)


def _seconds(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a count of at least 1")
    return value


def _run_predict(options: argparse.Namespace) -> int:
    from synchformer.checkpoint import load_model
    from synchformer.download import DownloadError

    try:
        model = load_model(options.model, device=options.device)
    except (ValueError, OSError) as error:
        status = 1 if isinstance(error, DownloadError) else 2
        return _complain(f"synchformer predict: --model {options.model}: {error}", status)
    failed = False
    for video in options.videos:
        record = _measure(model, video, options)
        failed |= "error" in record
        _show(record, options)
    return 1 if failed else 0


def _measure(model: Synchformer, video: str, options: argparse.Namespace) -> dict[str, Any]:
    """One video's result, or its error as a sentence; nothing a file does may stop the batch."""
    from synchformer.prediction import predict_file

    try:
        result = predict_file(
            model,
            Path(video),
            start=options.start,
            offset=options.offset,
            precision=options.precision,
            as_published=options.as_published,
        )
    except (ValueError, OSError, MemoryError) as error:
        return {"video": video, "error": str(error) or type(error).__name__}
    return {"video": video, "model": options.model, "start": options.start, "result": result}


def _show(record: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(as_json(record), ensure_ascii=False), flush=True)
    elif "error" in record:
        _complain(f"{record['video']}\n  {record['error']}\n")
    else:
        print(f"{record['video']}\n{as_text(record, options.top)}\n", flush=True)


def as_json(record: dict[str, Any]) -> dict[str, Any]:
    """The fields that `--json` prints for one video; numbers are seconds and probabilities."""
    if "error" in record:
        return {"video": record["video"], "error": record["error"]}
    from synchformer.prediction import Synchronizability

    result: Prediction | Synchronizability = record["result"]
    head = {name: record[name] for name in ("video", "model", "start")} | {"applied_offset": result.applied_offset}
    if isinstance(result, Synchronizability):
        return head | {"synchronizability": result.probability, "sentence": result.sentence}
    names = ("offset", "confidence", "grid", "probabilities", "sentence")
    return head | {name: getattr(result, name) for name in names}


def as_text(record: dict[str, Any], top: int) -> str:
    """The table a person reads: the sentence, the likeliest offsets with bars, and the times."""
    from synchformer.prediction import Prediction, offset_in_words

    result: Prediction | Synchronizability = record["result"]
    moved = f", the sound moved: {offset_in_words(result.applied_offset)}" if result.applied_offset else ""
    lines = [f"  {result.sentence}", ""]
    if isinstance(result, Prediction):
        lines += [f"  {offset:+5.1f} s {share:6.1%}  {_bar(share)}" for offset, share in result.top(top)] + [""]
    lines += [f"  {record['model']} from {record['start']:g} s{moved}", f"  {result.timing.sentence}"]
    return "\n".join(line.rstrip() for line in lines)


def _bar(share: float) -> str:
    whole, part = divmod(round(share * BAR_WIDTH * 8), 8)
    return "█" * whole + EIGHTHS[part].strip()


def _run_models(_: argparse.Namespace) -> int:
    from synchformer.checkpoint import CHECKPOINTS

    tells = {"I": "features, for load_avclip", "II": "offset", "III": "synchronizability"}
    width = max(map(len, CHECKPOINTS))
    for name, checkpoint in CHECKPOINTS.items():
        place = "downloaded once" if checkpoint.sources else "embedded"
        print(f"{name:{width}}  stage {checkpoint.stage:3}  {tells[checkpoint.stage]}; {checkpoint.data}; {place}")
    return 0


def _complain(message: str, status: int = 1) -> int:
    print(message, file=sys.stderr, flush=True)
    return status
