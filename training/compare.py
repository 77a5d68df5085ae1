"""Several trained models in one table: what they are, what they have seen, how well they tell the offset.

python -m training.evaluate runs/mini/model.safetensors --out runs/mini/evaluation.json    # for each of them
python -m training.compare runs/mini runs/avst runs/sparsesync --out results/comparison    # .md, .csv, .json and .png

Every folder is one of `training.run`, with the model's evaluation as `evaluation.json`. The figures stand in those
files and in the runs' logs and states; under the table it is said in what the models differ beside their kind.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, median
from typing import Any

from synchformer.cli.terminal import command
from synchformer.config import SynchformerConfig
from synchformer.modeling.segment_avclip import CLIP_SECONDS
from synchformer.modeling.synchformer import Synchformer
from synchformer.storage.atomic import atomic_write, write_json
from synchformer.storage.csv_rows import write_csv
from synchformer.storage.json_text import undefined_as_none
from training.baselines.model import Baseline, baseline_config
from training.config.model_size import parameter_count
from training.config.names import Stage
from training.evaluation.comparison import Comparison, Course, Entry
from training.evaluation.metrics import chance
from training.evaluation.plots import comparison_figure
from training.evaluation.report import read_report
from training.stages.assemble import stage_state
from training.trainer.run_log import LOG, Row, read_log

EVALUATION = "evaluation.json"
STAGES: tuple[Stage, ...] = ("unimodal", "avclip", "sync", "baseline")
GROUP = "all clips"


def compare(runs: Sequence[Path], group: str = GROUP) -> Comparison:
    """Read runs and their evaluations.

    Args:
        runs: folders of `training.run`.
        group: which clips of the evaluations to compare on, as their tables name them.

    Raises:
        ValueError: a folder without a trained model or an evaluation, evaluations on different clips, unknown group.
    """
    reports = [read_report(run / EVALUATION) for run in runs]
    settings = [{key: value for key, value in report["setting"].items() if key != "model"} for report in reports]
    for run, setting in zip(runs[1:], settings[1:], strict=True):
        other = [key for key, value in setting.items() if value != settings[0][key]]
        if other:
            raise ValueError(
                f"{run / EVALUATION} differs from {runs[0] / EVALUATION} in {', '.join(other)}; evaluate both alike"
            )
    measured_runs = [_entry(run, report, group) for run, report in zip(runs, reports, strict=True)]
    entries, courses = zip(*measured_runs, strict=True)
    said = settings[0]
    measured = f"Measured on {said['data']}, {group}; {said['protocol']}; 95 % bootstrap intervals."
    return Comparison(entries, measured, said["classes"], courses)


def write_comparison(comparison: Comparison, out: Path) -> list[Path]:
    """Write OUT.md, OUT.csv, OUT.json and OUT.png; returns their paths."""
    out.parent.mkdir(parents=True, exist_ok=True)
    files = [out.with_name(f"{out.name}.{ending}") for ending in ("md", "csv", "json", "png")]
    with atomic_write(files[0]) as part:
        part.write_text(comparison.markdown + "\n")
    write_csv(files[1], comparison.entries)
    values = {**asdict(comparison), "chance": chance(comparison.classes), "differences": comparison.differences}
    write_json(files[2], undefined_as_none(values))
    with atomic_write(files[3]) as part:
        comparison_figure(comparison).savefig(part, dpi=110, format="png")
    return files


def _entry(run: Path, report: dict[str, Any], group: str) -> tuple[Entry, Course]:
    states = {stage: state for stage in STAGES if (state := stage_state(run, stage)) is not None}
    last: Stage = "baseline" if "baseline" in states else "sync"
    if last not in states:
        raise ValueError(f"{run} holds neither the stage sync nor baseline; give the --out of training.run")
    row = next((row for row in report["summary"] if row["clips"] == group), None)
    if row is None:
        known = ", ".join(row["clips"] for row in report["summary"])
        raise ValueError(f"{run / EVALUATION} has no row {group!r}; it has {known}")
    about = states[last]["about"]
    config = SynchformerConfig.from_dict(about["config"])
    logs = {stage: read_log(run / stage / LOG) for stage in states}
    taken = {stage: _steps(logs[stage], state) for stage, state in states.items()}
    passes = {stage: _samples(logs[stage], state, taken[stage]) for stage, state in states.items()}
    seconds = {stage: count * _sample_seconds(stage, config) for stage, count in passes.items()}
    entry = Entry(
        name=run.name,
        model=about.get("model") or f"Synchformer ({config.extractors})",
        parameters=parameter_count(lambda: _model(about.get("model"), config)),
        stages=", ".join(f"{stage} {_best_of(state['step'], taken[stage])}" for stage, state in states.items()),
        clips=about["count"],
        crops=passes[last],
        hours=sum(seconds.values()) / 3600,
        acc1=row["acc1"],
        acc1_interval=tuple(row["acc1_interval"]),
        acc1_tol1=row["acc1_tol1"],
        acc1_tol1_interval=tuple(row["acc1_tol1_interval"]),
        evaluated=row["count"],
        seconds=_median(logs[last], "seconds"),
        cpu_seconds=_median(logs[last], "cpu_seconds"),
        cpu_minutes=_cpu_minutes(logs, taken),
    )
    return entry, _course(logs[last], passes[last] / taken[last])


def _model(kind: Any, config: SynchformerConfig) -> Synchformer | Baseline:
    return Synchformer(config) if kind is None else Baseline(baseline_config(kind, config), kind)


def _steps(log: list[Row], state: dict[str, Any]) -> int:
    """Steps that the stage took, of which the kept state, the best one, need not be the last."""
    return max([int(state["step"]), *(int(row["step"]) for row in log)])


def _best_of(step: int, taken: int) -> str:
    return f"{step}" if step == taken else f"{step} of {taken}"


def _samples(log: list[Row], state: dict[str, Any], steps: int) -> int:
    """Samples of so many steps, over all processes, whose number the log tells."""
    options = state["options"]
    own = options["batch"] * options["accumulate"]
    rows = [row for row in log if "samples_per_second" in row]
    processes = max(1, round(rows[-1]["samples_per_second"] * rows[-1]["seconds"] / own)) if rows else 1
    result: int = steps * own * processes
    return result


def _course(log: list[Row], crops: float) -> Course:
    """Validations, where every step asks about so many crops."""
    name = "valid/acc1_tol1"
    return tuple((round(crops * row["step"]), row[name]) for row in log if name in row)


def _sample_seconds(stage: Stage, config: SynchformerConfig) -> float:
    """How much of a clip one sample is."""
    lengths = {"unimodal": config.segment_seconds, "avclip": CLIP_SECONDS}
    return lengths.get(stage, config.span_frames / config.video_fps)


def _median(log: list[Row], name: str) -> float | None:
    values = [row[name] for row in log if name in row]
    return median(values) if values else None


def _cpu_minutes(logs: dict[Stage, list[Row]], taken: dict[Stage, int]) -> float | None:
    """The mean step of every stage, times its steps; None where a log does not tell."""
    spent = 0.0
    for stage, steps in taken.items():
        seconds = [row["cpu_seconds"] for row in logs[stage] if "cpu_seconds" in row]
        if not seconds:
            return None
        spent += mean(seconds) * steps / 60
    return spent


@command
def main(argv: list[str] | None = None) -> int:
    """Print the table; `--out` writes it. Exit status 1 when runs cannot be compared."""
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of training.run that hold evaluation.json")
    parser.add_argument("--group", default=GROUP, help=f"which row of the evaluations to compare (default {GROUP!r})")
    parser.add_argument("--out", type=Path, help="write OUT.md, OUT.csv and OUT.json")
    arguments = parser.parse_args(argv)
    try:
        comparison = compare(arguments.runs, arguments.group)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(comparison.markdown)
    if arguments.out:
        print("\n" + ", ".join(map(str, write_comparison(comparison, arguments.out))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
