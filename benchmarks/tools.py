"""What the tools cost: a scan against one of half the length, and DeSync in one mode against the other.

python -m benchmarks.tools
python -m benchmarks.tools --minutes 60 --clips 200

(a) Generated clips are repeated without encoding anything again until they make a film; films of two lengths are
scanned, each in a process of its own, so that its peak of memory is its own. A cost that grows linearly doubles with
the length; memory that is bounded does not. (b) DeSync of generated clips as av-benchmark defines it, and as the
published example of Synchformer does. Times are CPU seconds of all threads, which other work on the machine does not
change much, and seconds by the clock.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, TypeVar

import av
from av.packet import Packet

from synthetic import SEEDS, sample_scene, write_clip

SECONDS = Fraction(48, 5)  # of a repeated clip, 9.6 s: 240 frames, and 150 of the 1024 samples that AAC takes together
REPEATED = 12  # different clips in a film
FILM_SEED, SET_SEED = SEEDS["benchmarks"][0], SEEDS["benchmarks"][20_000]
SIZE = (256, 340)  # pixels, height and width
MINUTE = 60.0  # s
MODES = ("avbench", "synchformer")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """CPU seconds and seconds by the clock."""

    cpu: float
    wall: float

    def __str__(self) -> str:
        return f"{self.cpu:.1f} s of CPU, {self.wall:.1f} s by the clock"


@dataclass(frozen=True)
class Scanned:
    """One scan: minutes of film, windows, its cost, and megabytes in memory before it and at its peak."""

    minutes: float
    windows: int
    cost: Cost
    before: float
    peak: float


def costing(work: Callable[[], Result]) -> tuple[Result, Cost]:
    """What `work` returns, and what it cost."""
    begin, spent = perf_counter(), process_time()
    result = work()
    return result, Cost(process_time() - spent, perf_counter() - begin)


def write_clips(folder: Path, count: int, seed: int, seconds: float = 10.0) -> list[Path]:
    """Generated clips, each with three to five events that are seen and heard."""
    folder.mkdir()
    return [
        write_clip(sample_scene(seed + number, (3, 5), seconds), folder / f"{number:04d}.mp4", SIZE)
        for number in range(count)
    ]


def write_film(clips: list[Path], minutes: float, out: Path) -> Path:
    """The clips again and again until they last that long; packets are copied, nothing is encoded."""
    repeats = max(1, round(minutes * MINUTE / float(SECONDS)))
    with av.open(str(out), "w") as film:
        with av.open(str(clips[0])) as first:
            copies = {stream.type: film.add_stream_from_template(stream) for stream in first.streams}
        for number in range(repeats):
            for packet in _moved(clips[number % len(clips)], number):
                packet.stream = copies[packet.stream.type]
                film.mux(packet)
    return out


def _moved(clip: Path, number: int) -> Iterator[Packet[Any]]:
    """The packets of a clip, `number` lengths later; sound that begins before the clip does is kept only once."""
    with av.open(str(clip)) as source:
        for packet in source.demux():
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue
            if number and packet.stream.type == "audio" and packet.pts < 0:
                continue
            away = round(number * SECONDS / packet.time_base)
            packet.pts, packet.dts = packet.pts + away, packet.dts + away
            yield packet


def scanned(path: Path, model: str) -> Scanned:
    """Scan a film; to be called in a process that does nothing else."""
    from synchformer.checkpoints.registry import load_model
    from synchformer.offsets import scan

    loaded = load_model(model)
    before = _peak()
    timeline, cost = costing(lambda: scan(loaded, path))
    return Scanned(timeline.seconds / MINUTE, len(timeline.moments), cost, before, _peak())


def _peak() -> float:
    """Megabytes that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure_scans(folder: Path, minutes: float, model: str) -> tuple[Scanned, Scanned]:
    """Scans of a film of half the length and of the whole length."""
    clips = write_clips(folder / "repeated", REPEATED, FILM_SEED, float(SECONDS))
    scans = []
    for length in (minutes / 2, minutes):
        film = write_film(clips, length, folder / f"{length:g}.mp4")
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            scans.append(alone.apply(scanned, (film, model)))
        film.unlink()
    return scans[0], scans[1]


def scans_as_text(half: Scanned, whole: Scanned) -> str:
    """Both scans and the ratios between them."""
    lines = [
        f"scan of {each.minutes:.1f} min: {each.windows} windows, {each.cost} "
        f"({each.minutes * MINUTE / each.cost.cpu:.1f} s of film per CPU second), peak {each.peak:.0f} MB "
        f"({each.before:.0f} MB before it began)"
        for each in (half, whole)
    ]
    length, cpu = whole.minutes / half.minutes, whole.cost.cpu / half.cost.cpu
    return "\n".join(
        [*lines, f"{length:.2f} times the film: {cpu:.2f} times the CPU, {whole.peak / half.peak:.2f} times the memory"]
    )


def measure_desync(folder: Path, count: int, model: str) -> str:
    """DeSync in both modes: the set's score, what it cost, and the ratio of the costs."""
    from synchformer.checkpoints.registry import load_model
    from synchformer.offsets import desync, pair_by_name

    loaded = load_model(model)
    write_clips(folder / "set", count, SET_SEED)
    pairs, lines, costs = pair_by_name(folder / "set"), [], []
    for mode in MODES:
        report, cost = costing(lambda mode=mode: desync(loaded, pairs, mode, model_name=model))  # type: ignore[misc]
        mean = report.systems[0].mean
        score = f"{mean.value:.3f} s ({mean.interval[0]:.3f} to {mean.interval[1]:.3f})" if mean else "none"
        counts = ", ".join(f"{number} {status}" for status, number in report.systems[0].counts.items() if number)
        lines.append(
            f"DeSync ({mode}, {model}) of {count} clips in sync: {score}; {counts}; {cost} "
            f"({1000 * cost.cpu / count:.0f} ms of CPU a clip)"
        )
        costs.append(cost.cpu)
    return "\n".join([*lines, f"{MODES[0]} takes {costs[0] / costs[1]:.2f} times the CPU of {MODES[1]}"])


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tools", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=4.0, help="length of the longer film; 0: none (default 4)")
    parser.add_argument("--clips", type=int, default=12, help="clips that are scored; 0: none (default 12)")
    parser.add_argument("--model", default="mini", help="a name from `python -m synchformer models`, or a file")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        if options.minutes > 0:
            print(scans_as_text(*measure_scans(Path(folder), options.minutes, options.model)), flush=True)
        if options.clips > 0:
            print(measure_desync(Path(folder), options.clips, options.model))
    return 0


if __name__ == "__main__":
    sys.exit(main())
