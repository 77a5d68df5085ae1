"""Accuracy of a model on held-out clips, under the published protocols.

python -m training.evaluate mini --count 500
python -m training.evaluate runs/mini/model.safetensors --count 200 --seed 2000000 --events 1-1
python -m training.evaluate mini --count 300 --only snap drop --out results/unseen.json
python -m training.evaluate vggsound --data vggsound-sparse:/data/vggsound --annotations lists --out results/sparse.json
python -m training.evaluate mini --data manifest:real.csv --split valid --protocol every --by kind --cluster source
python -m training.evaluate lrs3 --data lrs3:/data/lrs3 --annotations lists --protocol x2

Generated clips are written as MP4, read back, cut at a random start with a random offset out of the grid, and
predicted: the same path that a user's file takes. They never overlap with those of training and validation.
With `--out FILE.json`, tables (CSV) and a picture (PNG) are written beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from synchformer.cli.options import add_device
from synchformer.cli.terminal import command
from synchformer.inference.engine import check_model
from synchformer.modeling.synchformer import TwoStreams
from synthetic import KINDS, SEEDS
from training.baselines.model import load_any
from training.config.command_options import add_data, add_seed, add_split, add_workers
from training.datasets.generated import GeneratedSource
from training.datasets.registry import SourceOptions, open_source
from training.datasets.source import SPLITS, LeftOut, Source, Split, count_reasons
from training.datasets.validation import spread
from training.evaluation.plots import report_figure
from training.evaluation.protocols import PROTOCOLS, Protocol, repeated, usual_protocol
from training.evaluation.report import Report, Setting, table
from training.evaluation.trials import generated_trials, source_trials

WRITTEN = "one random offset and start per clip, through MP4 files"


def evaluate(
    model: TwoStreams,
    name: str,
    source: Source,
    split: Split,
    protocol: Protocol | None,
    count: int | None,
    seed: int = 0,
    workers: int = 2,
    by: Sequence[str] = (),
    cluster: str = "",
) -> Report:
    """Measure a model on a data set.

    Args:
        model: with the offset head.
        name: what the report calls it.
        source: the data set.
        split: which of its splits.
        protocol: where crops are cut; None: generated clips through files, other data sets as published.
        count: clips at most, spread evenly over the split; all when None.
        seed: of random places.
        workers: processes that read or write clips.
        by: columns of the data set's table by whose values the figures are divided.
        cluster: column whose values, and not the clips, are drawn anew for intervals.
    """
    left_out: list[LeftOut] = [item for item in source.left_out if item.split == split]
    samples = spread(source.samples(split), count)
    through_files = source.is_generated and protocol is None and split == "test"
    protocol = protocol or usual_protocol(source.name)
    if through_files:
        predicted = generated_trials(model, source, workers)
    else:
        predicted = source_trials(model, source, samples, protocol, left_out, seed, workers, by, cluster)
    total = None if protocol.starts else len(samples) * protocol.rounds
    trials = tuple(tqdm(predicted, total=total, desc="crops", mininterval=2))
    said = WRITTEN if through_files else protocol.sentence
    config = model.config
    clips = len({trial.clip for trial in trials})
    data = source.description(split)
    grid = config.offset_classes, config.offset_step
    setting = Setting(name, data, said, protocol.rounds, clips, seed, *grid, tuple(by), cluster)
    return Report(setting, trials, tuple(left_out))


@command
def main(argv: list[str] | None = None) -> int:
    """Print what was measured and the table; `--out` writes everything. Exit status 1 when no clip could be used."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    min_events, _, max_events = arguments.events.partition("-")
    if not (min_events.isdecimal() and (max_events or min_events).isdecimal()):
        parser.error(f"--events must be a range such as 1-4, not {arguments.events!r}")
    try:
        source = _source(arguments, (int(min_events), int(max_events or min_events)))
        protocol = repeated(arguments.rounds) if arguments.rounds else PROTOCOLS.get(arguments.protocol)
        _require_columns(source, arguments.split, [*arguments.by, *filter(None, [arguments.cluster])])
        model = load_any(arguments.model, arguments.device)
        check_model(model, "offset")
    except ValueError as error:
        parser.error(str(error))
    count = None if arguments.all else arguments.count
    report = evaluate(
        model,
        arguments.model,
        source,
        arguments.split,
        protocol,
        count,
        arguments.place_seed,
        arguments.workers,
        arguments.by,
        arguments.cluster,
    )
    for reason, number in count_reasons(report.left_out).items():
        print(f"left out: {number} clips, {reason}", file=sys.stderr)
    if not report.trials:
        print(f"no {arguments.split} clip of {source.name} could be used", file=sys.stderr)
        return 1
    print(f"{report.setting.sentence}; {len(report.left_out)} left out\n\n{table(report.summary)}")
    if report.by_column:
        print(f"\n{table(report.by_column)}")
    if arguments.out:
        _write(report, arguments.out)
    return 0


def _source(arguments: argparse.Namespace, events: tuple[int, int]) -> Source:
    counts = {split: arguments.count if split == arguments.split else 0 for split in SPLITS}
    generated = GeneratedSource(
        train=counts["train"],
        valid=counts["valid"],
        test=counts["test"],
        events=events,
        without=tuple(arguments.without),
        only=tuple(arguments.only),
        first_test=arguments.seed,
    )
    return open_source(arguments.data, SourceOptions(arguments.annotations, generated))


def _require_columns(source: Source, split: Split, columns: Sequence[str]) -> None:
    """See that the data set's table has columns.

    Raises:
        ValueError: when it lacks one, or the data set has no table.
    """
    known = {column for sample in source.samples(split) for column, _ in sample.columns} if columns else set()
    missing = next((column for column in columns if column not in known), None)
    if missing is not None:
        there = f"its columns are {', '.join(sorted(known))}" if known else "only a manifest:FILE.csv has columns"
        raise ValueError(f"{source.name} has no column {missing} to divide by; {there}")


def _write(report: Report, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    picture = out.with_name(f"{out.stem}.png")
    report_figure(report).savefig(picture, dpi=110)
    print("\n" + ", ".join(map(str, [*report.write(out), picture])))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="mini", help="name or file of the model")
    add_data(parser)
    add_split(parser)
    parser.add_argument("--protocol", choices=["auto", *PROTOCOLS], default="auto", help="default: the published one")
    parser.add_argument("--by", nargs="+", default=[], help="columns of a manifest by whose values figures are divided")
    parser.add_argument(
        "--cluster", default="", help="column of a manifest whose values are drawn anew for intervals (default: clips)"
    )
    parser.add_argument("--rounds", type=int, help="random places this many times, pooled, whatever the protocol")
    parser.add_argument("--place-seed", type=int, default=0, help="seed of random places (default 0)")
    parser.add_argument("--count", type=int, default=500, help="clips at most (default 500)")
    parser.add_argument("--all", action="store_true", help="every clip of the data set")
    add_seed(parser, "the first generated clip", SEEDS["test"][0])
    parser.add_argument(
        "--events", default="1-4", help="fewest-most events per clip that are seen and heard (default 1-4)"
    )
    parser.add_argument(
        "--without", nargs="+", choices=KINDS, default=[], help="kinds that appear in no generated clip"
    )
    parser.add_argument("--only", nargs="+", choices=KINDS, default=[], help="kinds that shared events may have")
    add_device(parser)
    add_workers(parser)
    parser.add_argument("--out", type=Path, help="JSON file; tables and a picture go beside it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
