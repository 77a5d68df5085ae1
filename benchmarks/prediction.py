"""How long one prediction takes, stage by stage: `mini` against the paper's size, a moved slider against a new clip.

python -m benchmarks.prediction
python -m benchmarks.prediction --device cuda --repeats 20

The `base` model has random weights: its time does not depend on them. Every figure is the median of the repeats.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.registry import load_model, pick_device
from synchformer.cli.options import add_device
from synchformer.config import BASE
from synchformer.inference.prediction import Timing, decide, encode, predict_file
from synchformer.media.crop import load_clip
from synchformer.modeling.synchformer import Synchformer

CLIP = asset("examples") / "hammer.mp4"
STAGES = ("decode", "video", "audio", "synchronization")


def fresh(model: Synchformer, clip: Path) -> Timing:
    """A new clip: everything is read and computed."""
    return predict_file(model, clip).timing


def moved(model: Synchformer, clip: Path) -> Callable[[], Timing]:
    """The same clip with its sound moved: the picture's features are kept, only sound is encoded."""
    kept = encode(model, load_clip(clip, 1.0, config=model.config))

    def again() -> Timing:
        begin = perf_counter()
        cut = load_clip(clip, 1.0, 0.4, config=model.config)
        decode = perf_counter() - begin
        prediction = decide(model, encode(model, cut, like=kept))
        return replace(prediction.timing, decode=decode)

    return again


def measure(work: Callable[[], Timing], repeats: int) -> Timing:
    """The median of each stage over `repeats` runs, after one that is not counted."""
    work()
    runs = [work() for _ in range(repeats)]
    return Timing(**{stage: median(getattr(run, stage) for run in runs) for stage in STAGES})


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction", description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, default=CLIP, help="a video file (default: an example)")
    add_device(parser, default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args(argv)
    mini = load_model("mini", arguments.device)
    base = Synchformer(BASE).eval().to(pick_device(arguments.device))
    rows = {
        "base, new clip": measure(lambda: fresh(base, arguments.clip), max(1, arguments.repeats // 3)),
        "mini, new clip": measure(lambda: fresh(mini, arguments.clip), arguments.repeats),
        "mini, sound moved": measure(moved(mini, arguments.clip), arguments.repeats),
    }
    print(f"{arguments.device}, {torch.get_num_threads()} threads, {arguments.clip.name}")
    print(table(rows))
    return 0


def table(rows: dict[str, Timing]) -> str:
    """Seconds of each stage as Markdown, and how many times faster than the first row each row is."""
    first = next(iter(rows.values())).total
    lines = [f"| | {' | '.join(STAGES)} | total | times faster |", "|" + "---|" * (len(STAGES) + 3)]
    for name, timing in rows.items():
        stages = " | ".join(f"{getattr(timing, stage):.3f} s" for stage in STAGES)
        lines.append(f"| {name} | {stages} | {timing.total:.3f} s | {first / timing.total:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
