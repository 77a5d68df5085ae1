"""Accuracy of a model on held-out generated clips, through real files.

python -m training.evaluate mini --count 500
python -m training.evaluate runs/mini/model.safetensors --count 200 --seed 2000000 --events 1-1

Every clip is written as MP4, read back, cut at a random start with a random offset out of the grid, and predicted: the
same path that a user's file takes. Clips never overlap with those that `training.run` trains and validates on.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from synchformer.checkpoint import load_model
from synchformer.clip import load_clip
from synchformer.config import SynchformerConfig
from synchformer.model import Synchformer
from synchformer.prediction import predict
from synthetic import Scene, sample_scene, write_clip
from training.metrics import chance

FIRST_SEED = 2_000_000  # far from the seeds of training and validation
AHEAD = 8  # clips written ahead of the predictions


@dataclass(frozen=True)
class Trial:
    """One prediction: what was applied, what came out, and how many events both crops share."""

    seed: int
    start: float
    target: int
    predicted: int
    confidence: float
    shared: int

    @property
    def distance(self) -> int:
        """Classes between truth and prediction."""
        return abs(self.predicted - self.target)


def draw_trial(scene: Scene, config: SynchformerConfig) -> tuple[float, int, int]:
    """Random start (seconds), offset class and number of shared events, a function of the scene's seed."""
    rng = np.random.Generator(np.random.PCG64([0xE7A1, scene.seed]))
    target = int(rng.integers(config.offset_classes))
    offset, length = config.grid[target], config.crop_seconds
    start = float(rng.uniform(max(0.0, -offset), scene.duration - length - max(0.0, offset)))
    start = round(start * config.video_fps) / config.video_fps
    shared = scene.shared_events((start, start + length), (start + offset, start + offset + length))
    return start, target, len(shared)


def run_trials(model: Synchformer, seed: int, count: int, events: tuple[int, int], workers: int = 2) -> Iterator[Trial]:
    """Predict `count` clips, one offset each, in order of their seeds."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = ((number, events, str(Path(folder) / f"{number}.mp4")) for number in range(seed, seed + count))
        with ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            ahead = ((job, pool.submit(_write, job)) for job in jobs)
            pending = deque(islice(ahead, AHEAD))
            while pending:
                job, written = pending.popleft()
                pending.extend(islice(ahead, 1))
                written.result()
                yield _trial(model, *job)


def _write(job: tuple[int, tuple[int, int], str]) -> None:
    seed, events, path = job
    write_clip(sample_scene(seed, events), path, size=(256, 256))


def _trial(model: Synchformer, seed: int, events: tuple[int, int], path: str) -> Trial:
    start, target, shared = draw_trial(sample_scene(seed, events), model.config)
    prediction = predict(model, load_clip(path, start, model.config.grid[target], config=model.config))
    Path(path).unlink()
    return Trial(seed, start, target, model.config.offset_class(prediction.offset), prediction.confidence, shared)


def wilson(successes: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not count:
        return 0.0, 1.0
    share, spread = successes / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return middle - half, middle + half


@dataclass(frozen=True)
class Row:
    """Accuracy over a group of clips, each share with its 95 % interval; chance has neither a count nor intervals."""

    clips: str
    acc1: float
    acc1_tol1: float
    count: int | None = None
    acc1_interval: tuple[float, float] | None = None
    acc1_tol1_interval: tuple[float, float] | None = None


def summarise(trials: list[Trial], classes: int) -> list[Row]:
    """Accuracy over all trials, over those with a shared event in both crops, and by the number of shared events."""
    groups = {
        "at least one event in both crops": [t for t in trials if t.shared],
        "all clips": trials,
        **{f"{n} shared": [t for t in trials if t.shared == n] for n in sorted({t.shared for t in trials})},
    }
    guessing = chance(classes)
    return [
        Row("chance", guessing["acc1"], guessing["acc1_tol1"]),
        *(count_row(name, group) for name, group in groups.items()),
    ]


def count_row(name: str, trials: list[Trial]) -> Row:
    """Shares of exact and near answers among trials."""
    count = len(trials)
    exact, near = sum(t.distance == 0 for t in trials), sum(t.distance <= 1 for t in trials)
    shares = exact / max(count, 1), near / max(count, 1)
    return Row(name, *shares, count, wilson(exact, count), wilson(near, count))


def table(rows: list[Row]) -> str:
    """The summary as a Markdown table."""
    lines = ["| clips | count | Acc@1 | within ±1 class |", "|---|---|---|---|"]
    for row in rows:
        exact, near = _percent(row.acc1, row.acc1_interval), _percent(row.acc1_tol1, row.acc1_tol1_interval)
        lines.append(f"| {row.clips} | {'' if row.count is None else row.count} | {exact} | {near} |")
    return "\n".join(lines)


def _percent(share: float, interval: tuple[float, float] | None) -> str:
    text = f"{100 * share:.1f} %"
    return text if interval is None else f"{text} ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"


def main(argv: list[str] | None = None) -> int:
    """Print the table; `--out` also writes every trial as JSON."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="mini", help="name or file of the model")
    parser.add_argument("--count", type=int, default=500, help="clips (default 500)")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help=f"seed of the first clip (default {FIRST_SEED})")
    parser.add_argument(
        "--events", default="1-4", help="fewest-most events per clip that are seen and heard (default 1-4)"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="JSON file for the summary and every trial")
    arguments = parser.parse_args(argv)
    fewest, _, most = arguments.events.partition("-")
    if not (fewest.isdecimal() and (most or fewest).isdecimal()):
        parser.error(f"--events must be a range such as 1-4, not {arguments.events!r}")
    model = load_model(arguments.model, arguments.device)
    trials = run_trials(model, arguments.seed, arguments.count, (int(fewest), int(most or fewest)))
    found = list(tqdm(trials, total=arguments.count, desc="clips"))
    rows = summarise(found, model.config.offset_classes)
    print(table(rows))
    if arguments.out:
        arguments.out.write_text(
            json.dumps(
                {"summary": [asdict(row) for row in rows], "trials": [asdict(trial) for trial in found]}, indent=1
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
