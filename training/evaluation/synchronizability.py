"""Can the model tell what cannot be synchronized? ROC curve and offset accuracy against a threshold (figure 4).

python -m training.evaluation.synchronizability runs/mini/synchronizability.safetensors --offset-model mini --count 300
python -m training.evaluation.synchronizability synchronizability --offset-model audioset \\
    --data vggsound-sparse:/data/vggsound --annotations lists --rounds 25 --out results/figure4.json

As in training (section 4.2), with probability one half a crop gets an offset out of the grid, and is synchronizable;
else its sound is moved by the whole length of the crop, either way, so that both streams share no moment.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchmetrics.functional.classification import binary_accuracy, binary_roc
from tqdm import tqdm

from synchformer.checkpoints.registry import load_model
from synchformer.cli.options import add_device
from synchformer.cli.terminal import command
from synchformer.config import SynchformerConfig
from synchformer.errors import sentence_of
from synchformer.inference.engine import check_model
from synchformer.inference.prediction import predict, predict_synchronizability
from synchformer.media.crop import cut_crop
from synchformer.media.probe import MediaInfo
from synchformer.modeling.synchformer import Synchformer
from synchformer.stats import roc
from synchformer.storage.atomic import write_json
from synchformer.storage.csv_rows import write_csv
from synchformer.storage.json_text import undefined_as_none
from synthetic import SEEDS, Scene
from training.config.command_options import add_data, add_seed, add_split, add_workers
from training.datasets.generated import GeneratedSource
from training.datasets.registry import SourceOptions, open_source
from training.datasets.source import LeftOut, Place, Sample, Source, count_reasons
from training.datasets.validation import spread
from training.evaluation.plots import synchronizability_figure
from training.evaluation.protocols import generator, random_start
from training.evaluation.report import count_row, percent
from training.evaluation.trials import Reading, Trial, read_places, shared_events
from training.runtime.processes import in_order

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # the published ones
FAR = 5  # classes between an offset prediction and the target that a wrongly passed crop is given, as published


@dataclass(frozen=True)
class SyncTrial:
    """One crop: whether it can be synchronized, how probable the model finds that, and what its offset was taken for.

    `target` and `predicted` are classes of the offset model; None where there is none. `shared` counts the events that
    both streams hold, where that is known.
    """

    id: str
    round: int
    start: float
    offset: float
    synchronizable: bool
    probability: float
    shared: int | None = None
    target: int | None = None
    predicted: int | None = None


def draw_crops(
    rounds: int, seed: int, longest: float, sample: Sample, info: MediaInfo, config: SynchformerConfig
) -> list[Place]:
    """Crops of one clip; `longest` is the crop in seconds that must fit, the offset model's if it is the longer one.

    Raises:
        MediaError: when the clip is too short for the shift that was drawn.
    """
    room = replace(config, crop_frames=round(longest * config.video_fps))
    places = []
    for number in range(rounds):
        rng = generator(sample.id, number, seed)
        synchronizable = rng.random() < 0.5
        shift = float(rng.choice([-1.0, 1.0])) * config.crop_seconds
        offset = config.grid[int(rng.integers(config.offset_classes))] if synchronizable else shift
        places.append(Place(random_start(info, room, offset, rng), offset))
    return places


def sync_trials(
    model: Synchformer,
    offset_model: Synchformer | None,
    source: Source,
    samples: Iterable[Sample],
    rounds: int,
    left_out: list[LeftOut],
    seed: int = 0,
    workers: int = 0,
) -> Iterator[SyncTrial]:
    """A trial for every crop; clips that cannot be used are added to `left_out` with the reason."""
    config = model.config
    longest = max(config.crop_seconds, offset_model.config.crop_seconds if offset_model else 0.0)
    room = replace(config, crop_frames=round(longest * config.video_fps))
    draw = partial(draw_crops, rounds, seed, longest)
    work = partial(_read, source, draw, config, room)
    for sample, reading in in_order(work, samples, workers, ahead=2):
        if reading.error:
            left_out.append(LeftOut(sample.id, sample.split, reading.error))
        try:
            yield from _clip_trials(model, offset_model, sample, source.scene(sample), reading)
        except ValueError as error:
            left_out.append(LeftOut(sample.id, sample.split, sentence_of(error)))


def _clip_trials(
    model: Synchformer, offset_model: Synchformer | None, sample: Sample, scene: Scene | None, reading: Reading
) -> Iterator[SyncTrial]:
    """The trials of one clip.

    Raises:
        ValueError: when a model gives no answer that is a number.
    """
    config = model.config
    crops = [(media, place) for media, places in reading.parts for place in places]
    for number, (media, place) in enumerate(crops):
        sure = predict_synchronizability(model, cut_crop(media, place.start, place.offset, config=config))
        can = abs(place.offset) <= config.max_offset + 1e-6
        trial = SyncTrial(sample.id, number, place.start, place.offset, can, sure.probability)
        if scene is not None:
            trial = replace(trial, shared=shared_events(scene, place, config))
        if offset_model is not None:
            grid = offset_model.config
            prediction = predict(offset_model, cut_crop(media, place.start, place.offset, config=grid))
            trial = replace(
                trial, target=grid.offset_class(place.offset), predicted=grid.offset_class(prediction.offset)
            )
        yield trial


def _read(source: Source, draw: Any, config: SynchformerConfig, room: SynchformerConfig, sample: Sample) -> Reading:
    """Decode enough for both models: the places are drawn for `config`, the crops may be as long as `room`'s."""

    def places(sample: Sample, info: MediaInfo, _: SynchformerConfig) -> list[Place]:
        drawn: list[Place] = draw(sample, info, config)
        return drawn

    return read_places(source, places, room, sample)


@dataclass(frozen=True)
class SyncReport:
    """The figures of figure 4."""

    said: str
    trials: tuple[SyncTrial, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def scores(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities and truth, two of (N,)."""
        return (
            torch.tensor([trial.probability for trial in self.trials]),
            torch.tensor([int(trial.synchronizable) for trial in self.trials]),
        )

    def area(self, trials: Sequence[SyncTrial] | None = None) -> tuple[float, tuple[float, float]]:
        """Area under the ROC curve with its 95 % interval over crops; NaN when one kind is missing."""
        chosen = self.trials if trials is None else trials
        sure, truth = [trial.probability for trial in chosen], [trial.synchronizable for trial in chosen]
        return roc.area(sure, truth), roc.area_interval(sure, truth)

    @property
    def answerable(self) -> list[SyncTrial]:
        """Without the synchronizable crops in which nothing happens in both streams: nobody could tell those."""
        return [trial for trial in self.trials if not (trial.synchronizable and trial.shared == 0)]

    def passed(self, threshold: float) -> list[Trial]:
        """Offset trials of the crops above a threshold; wrongly passed ones count as wrong, as published."""
        trials = []
        for trial in self.trials:
            if trial.probability > threshold and trial.predicted is not None and trial.target is not None:
                target = trial.target if trial.synchronizable else trial.predicted + FAR
                trials.append(Trial(0, trial.start, target, trial.predicted, trial.probability, trial.shared, trial.id))
        return trials

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON."""
        sure, truth = self.scores
        area, bounds = self.area()
        has_offsets = any(trial.predicted is not None for trial in self.trials)
        return {
            "said": self.said,
            "left_out": count_reasons(self.left_out),
            "auc": area,
            "auc_interval": bounds,
            "accuracy": float(binary_accuracy(sure, truth)),
            "auc_provable": self.area(self.answerable) if any(t.shared is not None for t in self.trials) else None,
            "thresholds": [count_row(f"above {t:g}", self.passed(t)) for t in THRESHOLDS] if has_offsets else [],
            "markdown": self.table(),
            "left_out_clips": self.left_out,
            "trials": self.trials,
        }

    def table(self) -> str:
        """The figures as Markdown."""
        sure, truth = self.scores
        area, bounds = self.area()
        lines = [
            "| crops | count | AUC | accuracy at 0.5 |",
            "|---|---|---|---|",
            f"| all | {len(self.trials)} | {area:.3f} ({bounds[0]:.3f}–{bounds[1]:.3f}) "
            f"| {percent(float(binary_accuracy(sure, truth)), None)} |",
        ]
        if any(trial.shared is not None for trial in self.trials):
            some, near = self.area(self.answerable)
            right = float(np.mean([(t.probability > 0.5) == t.synchronizable for t in self.answerable]))
            lines.append(
                f"| without synchronizable crops that share no event | {len(self.answerable)} "
                f"| {some:.3f} ({near[0]:.3f}–{near[1]:.3f}) | {percent(right, None)} |"
            )
        rows = [count_row(f"above {threshold:g}", self.passed(threshold)) for threshold in THRESHOLDS]
        if any(trial.predicted is not None for trial in self.trials):
            lines += ["", "| probability | crops | offset Acc@1 | within ±1 class |", "|---|---|---|---|"]
            lines += [
                f"| {row.clips} | {row.count} | {percent(row.acc1, row.acc1_interval)} "
                f"| {percent(row.acc1_tol1, row.acc1_tol1_interval)} |"
                for row in rows
            ]
        return "\n".join(lines)

    def write(self, path: Path) -> list[Path]:
        """Write JSON at `path`, and beside it the trials as CSV and figure 4 as PNG; returns the files."""
        write_json(path, undefined_as_none(self.as_dict()))
        trials, picture = path.with_name(f"{path.stem}-trials.csv"), path.with_name(f"{path.stem}.png")
        write_csv(trials, self.trials)
        false_rate, true_rate, _ = binary_roc(*self.scores)
        rows = [count_row("", self.passed(threshold)) for threshold in THRESHOLDS]
        has_offsets = any(trial.predicted is not None for trial in self.trials)
        curves = [
            ("within ±1 class", [r.acc1_tol1 for r in rows], [r.acc1_tol1_interval or (0.0, 1.0) for r in rows]),
            ("exact", [r.acc1 for r in rows], [r.acc1_interval or (0.0, 1.0) for r in rows]),
        ]
        figure = synchronizability_figure(
            self.said,
            (false_rate.tolist(), true_rate.tolist()),
            roc.area(*self.scores),
            THRESHOLDS,
            curves if has_offsets else [],
            [row.count or 0 for row in rows],
        )
        figure.savefig(picture, dpi=110)
        return [path, trials, picture]


@command
def main(argv: list[str] | None = None) -> int:
    """Print the figures; `--out` writes everything. Exit status 1 when no clip could be used, 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.synchronizability", description=__doc__.splitlines()[0]
    )
    parser.add_argument("model", help="name or file of a model with the synchronizability head")
    parser.add_argument("--offset-model", help="name or file of a model with the offset head, for the second panel")
    add_data(parser)
    add_split(parser)
    parser.add_argument("--count", type=int, default=500, help="clips at most (default 500)")
    parser.add_argument("--rounds", type=int, default=1, help="crops of each clip, pooled (default 1)")
    add_seed(parser, "the first generated clip", SEEDS["test"][0])
    parser.add_argument("--place-seed", type=int, default=0, help="seed of random places (default 0)")
    add_device(parser)
    add_workers(parser)
    parser.add_argument("--out", type=Path, help="JSON file; the trials and figure 4 go beside it")
    arguments = parser.parse_args(argv)
    try:
        generated = GeneratedSource(train=0, valid=0, test=arguments.count, first_test=arguments.seed)
        source = open_source(arguments.data, SourceOptions(arguments.annotations, generated))
        model = load_model(arguments.model, arguments.device)
        check_model(model, "synchronizability")
        offset_model = load_model(arguments.offset_model, arguments.device) if arguments.offset_model else None
        if offset_model is not None:
            check_model(offset_model, "offset")
    except ValueError as error:
        parser.error(str(error))
    if arguments.rounds < 1:
        parser.error(f"--rounds must be at least 1, not {arguments.rounds}")
    left_out = [item for item in source.left_out if item.split == arguments.split]
    samples = spread(source.samples(arguments.split), arguments.count)
    answered = sync_trials(
        model, offset_model, source, samples, arguments.rounds, left_out, arguments.place_seed, arguments.workers
    )
    trials = tuple(tqdm(answered, total=len(samples) * arguments.rounds, desc="crops", mininterval=2))
    for reason, number in count_reasons(left_out).items():
        print(f"left out: {number} clips, {reason}", file=sys.stderr)
    if not trials:
        print(f"no {arguments.split} clip of {source.name} could be used", file=sys.stderr)
        return 1
    with_offsets = f" with offsets of {arguments.offset_model}" if arguments.offset_model else ""
    said = (
        f"{arguments.model}{with_offsets} on {source.description(arguments.split)}; half of the crops moved by their "
        f"own length; {arguments.rounds} per clip, {len({trial.id for trial in trials})} clips, "
        f"seed {arguments.place_seed}"
    )
    report = SyncReport(said, trials, tuple(left_out))
    print(f"{said}; {len(left_out)} left out\n\n{report.table()}")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        print("\n" + ", ".join(map(str, report.write(arguments.out))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
