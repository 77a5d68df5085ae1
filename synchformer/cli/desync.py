"""`synchformer desync`: DeSync of a set of generated clips."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synchformer.cli.options import Commands, add_model, bar, complain, count, experience_of, load, seconds
from synchformer.cli.terminal import print_json
from synchformer.errors import sentence_of

if TYPE_CHECKING:
    from synchformer.offsets.desync import DesyncReport, Pairing
    from synchformer.stats.bootstrap import Mean


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("desync", help="DeSync of generated sound, per clip and for the set")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the clips")
    add_model(parser)
    parser.add_argument("--mode", choices=("avbench", "synchformer"), default="avbench", help="whose definition")
    parser.add_argument("--audio", type=Path, action="append", default=[], metavar="DIR", help="sound of the same "
                        "names from this folder instead of the clips' own; twice: compare two systems")  # fmt: skip
    parser.add_argument("--pairs", type=Path, metavar="CSV", help="pairs instead of names: a column video and one with "
                        "the sound of each system; paths from DIR")  # fmt: skip
    parser.add_argument("--duration", type=seconds, default=8.0, help="seconds of a clip in avbench (default: 8)")
    parser.add_argument("--recursive", action="store_true", help="look into the folders of the folder too")
    parser.add_argument("--out", type=Path, help="a row per clip as .csv or .parquet; goes on if it exists")
    parser.add_argument("--workers", type=count, default=os.cpu_count() or 1, help="threads that decode")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Score the set; status 1 when some clips could not be scored."""
    from synchformer.offsets.desync import desync

    try:
        pairings = _pairings(options)
        model = load("desync", options.model, options.device)
        with bar("clips", "clips") as move:
            report = desync(
                model,
                pairings,
                options.mode,
                model_name=options.model,
                out=options.out,
                duration=options.duration,
                workers=options.workers,
                progress=move,
            )
    except (ValueError, OSError) as error:
        return complain(f"synchformer desync: {sentence_of(error)}", 2)
    if options.json:
        print_json(as_json(report))
    else:
        print(f"{as_text(report)}\n{experience_of(options.model)}")
    return 0 if all(clip.status == "ok" for clip in report.clips) else 1


def _pairings(options: argparse.Namespace) -> list[Pairing]:
    from synchformer.offsets.desync import pair_by_name, read_pairs

    if options.pairs and options.audio:
        raise ValueError("give --pairs or --audio, not both")
    if options.pairs:
        return read_pairs(options.pairs, options.folder)
    return pair_by_name(options.folder, tuple(options.audio), options.recursive)


def as_json(report: DesyncReport) -> dict[str, Any]:
    """The whole report as plain values; seconds."""
    return {
        "model": report.model,
        "mode": report.mode,
        "systems": [asdict(system) for system in report.systems],
        "comparison": asdict(report.comparison) if report.comparison else None,
        "clips": [
            {"clip": clip.pairing.name, "system": clip.pairing.system, "status": clip.status, "values": clip.values,
             "desync": clip.desync, "note": clip.note}
            for clip in report.clips
        ],
    }  # fmt: skip


def as_text(report: DesyncReport) -> str:
    """A line per system, the comparison, and every clip that was not scored."""
    lines = [f"DeSync, mode {report.mode}, model {report.model}"]
    for system in report.systems:
        counted = ", ".join(f"{number} {status}" for status, number in system.counts.items() if number)
        lines.append(f"  {system.system}: {_mean(system.mean) if system.mean else 'no clip was scored'} ({counted})")
    if report.comparison:
        pair = report.comparison
        lines.append(
            f"  {pair.first} - {pair.second}: {_mean(pair.difference)}, p = {pair.p:.4f} "
            f"({pair.difference.count} clips of both, paired permutations)"
        )
    lines += [
        f"  {clip.pairing.system}: {clip.pairing.name}: {clip.status}; {clip.note}"
        for clip in report.clips
        if clip.status != "ok"
    ]
    return "\n".join(lines)


def _mean(mean: Mean) -> str:
    low, high = mean.interval
    return f"{mean.value:.3f} s (95 %: {low:.3f} to {high:.3f})"
