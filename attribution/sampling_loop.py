"""Sampling: masks are drawn, scored and counted until every interval is narrow enough or the masks are used up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import numpy as np

from attribution.estimation.estimators import Estimates, Measure, Sums, Tally
from attribution.masking.distractors import Bank
from attribution.masking.masks import MaskSource
from attribution.masking.units import Unit, make_units
from attribution.result import Attribution, Curve, State
from attribution.scoring.decision import Target, find_target
from attribution.scoring.scorers import InputScorer, Scorer, TokenScorer
from attribution.settings import CHECK_EVERY, MODALITIES, Modality, Settings
from synchformer.inference.engine import synchronize
from synchformer.inference.prediction import Encoding, encode
from synchformer.media.crop import Crop
from synchformer.modeling.synchformer import Synchformer


@dataclass
class Run:
    """One sequence of masks over the units of one stream, or of both when they are masked together."""

    units: tuple[Unit, ...]
    source: MaskSource
    scorer: Scorer
    tally: Tally
    estimates: Estimates
    state: State = "running"

    def advance(self, target: Target, settings: Settings, seconds: float = math.inf) -> None:
        """Score the next masks: up to the next look at the stop rule, or as many as fit into about `seconds`."""
        end = time.perf_counter() + seconds
        done = self.estimates.masks
        goal = min(settings.masks, done - done % CHECK_EVERY + CHECK_EVERY)
        step = settings.batch or self.scorer.batch()
        step += step % 2  # pairs stay together
        while done < goal:
            mask, choice = self.source.draw(min(step, goal - done))
            self.tally.add(mask.to(self.scorer.device), *target.correctness(self.scorer(mask, choice)))
            done += len(mask)
            if time.perf_counter() >= end:
                break
        self.settle(settings)

    def settle(self, settings: Settings) -> None:
        """Estimate from what was counted, and decide whether that is enough."""
        self.estimates = self.tally.estimate()
        if self.estimates.masks >= settings.masks:
            self.state = "complete"
        elif self.estimates.masks % CHECK_EVERY == 0 and self.estimates.masks and settings.tolerance is not None:
            self.state = "precise" if self.estimates.width <= settings.tolerance else "running"

    def go_on(self, sums: Sums, settings: Settings) -> None:
        """Take up the counts of an earlier run of the same kind and pass over the masks that it scored."""
        self.source.skip(sums.masks)
        self.tally.resume(sums)
        self.settle(settings)

    def curves(self, settings: Settings) -> list[Curve]:
        """A curve for each stream of this run."""
        left = 0 if self.state != "running" else self.estimates.expected_left(settings.tolerance, settings.masks)
        curves = []
        for modality in MODALITIES:
            owned = [index for index, unit in enumerate(self.units) if unit.modality == modality]
            if owned:
                units = tuple(self.units[index] for index in owned)
                curves.append(Curve(modality, units, _only(self.estimates, owned), self.state, left, settings.smooth))
        return curves


def stream(
    model: Synchformer,
    clip: Crop,
    bank: Bank,
    settings: Settings | None = None,
    *,
    resume: Attribution | None = None,
    every: float = math.inf,
) -> Generator[Attribution]:
    """Attribute, and yield what is known after every round of masks; the last one is the result.

    Every value is complete in itself, so the iterator can be closed at any time and the last value kept. Closing it
    stops the work.

    Args:
        model: in evaluation mode.
        clip: cut for this model.
        bank: what masked moments are filled with; crops of the clip's own file are left out.
        settings: how to mask; the paper's way by default.
        resume: an attribution of the same clip with the same model, distractors and settings, but for `samples`,
            `tolerance` and `smooth`. Sampling goes on where it ended, with the masks that an uninterrupted run would
            have drawn.
        every: seconds after which a stream yields in the middle of a round, too; for masks that take long.

    Raises:
        ValueError: too few distractors, a reference out of the model's reach, a clip cut for another model, or
            `resume` is of something else.
        MediaError: when a distractor's file cannot be read any more (input level).
    """
    settings = settings or Settings()
    begin = time.perf_counter() - (resume.seconds if resume else 0.0)
    bank = bank.without(clip.path)
    names = tuple(each.name for each in bank.distractors)
    if resume is not None:
        _check_same(resume, model, clip, settings, names)
    encoding = encode(model, clip, precision=settings.precision)
    logits = synchronize(model, encoding.video_features, encoding.audio_features, "fp32")[0].float().cpu()
    target = find_target(model.config, logits, clip.offset, settings.reference)
    runs = [_start(model, clip, encoding, bank, settings, run) for run in settings.runs]
    for run, sums in zip(runs, resume.sums if resume else (), strict=False):
        run.go_on(sums, settings)
    while True:
        for run in runs:
            if run.state == "running":
                run.advance(target, settings, every / len(runs))
        curves = sorted((c for run in runs for c in run.curves(settings)), key=lambda c: MODALITIES.index(c.modality))
        yield Attribution(
            path=clip.path,
            model=model.config.name,
            start=clip.start,
            offset=clip.offset,
            video_start=clip.video_start,
            audio_start=clip.audio_start,
            crop_seconds=model.config.crop_seconds,
            settings=settings,
            target=target,
            logits=tuple(logits.tolist()),
            distractors=names,
            curves=tuple(curves),
            seconds=time.perf_counter() - begin,
            sums=tuple(run.tally.sums() for run in runs),
        )
        if all(run.state != "running" for run in runs):
            return


def attribute(
    model: Synchformer,
    clip: Crop,
    bank: Bank,
    settings: Settings | None = None,
    on_progress: Callable[[Attribution], object] | None = None,
) -> Attribution:
    """Attribute to the end; see `stream`.

    Args:
        model: in evaluation mode.
        clip: cut for this model.
        bank: what masked moments are filled with.
        settings: how to mask; the paper's way by default.
        on_progress: called with every partial result; when it returns True, sampling ends there.

    Raises:
        ValueError, MediaError: as `stream`.
    """
    for part in stream(model, clip, bank, settings):
        latest = part
        if on_progress is not None and on_progress(part) is True:
            break
    return latest


def _start(
    model: Synchformer, clip: Crop, encoding: Encoding, bank: Bank, settings: Settings, run: tuple[Modality, ...]
) -> Run:
    units = make_units(model.config, run, settings.unit_seconds)
    scorer: Scorer
    if settings.level == "token":
        others = [each.encoding for each in bank.distractors]
        scorer = TokenScorer(model, encoding, others, units, settings.precision)
    else:
        clips = [each.clip() for each in bank.distractors]
        scorer = InputScorer(model, clip, encoding, clips, units, settings.precision)
    seed = (settings.seed, *(MODALITIES.index(modality) for modality in run))
    source = MaskSource(len(units), len(bank.distractors), settings.keep, settings.pairs, seed)
    tally = Tally(len(units), settings.pairs, scorer.device)
    return Run(units, source, scorer, tally, tally.estimate())


def _check_same(
    resume: Attribution, model: Synchformer, clip: Crop, settings: Settings, names: tuple[str, ...]
) -> None:
    """Counts of something else must not be added up with these."""
    pairs = {
        "model": (resume.model, model.config.name),
        "clip": (resume.path, clip.path),
        "start": (resume.start, clip.start),
        "offset": (resume.offset, clip.offset),
        "distractors": (resume.distractors, names),
        "settings": (_kind(resume.settings), _kind(settings)),
    }
    changed = [name for name, (before, now) in pairs.items() if before != now]
    if changed or not resume.sums:
        raise ValueError(f"this attribution cannot go on: {' and '.join(changed) or 'its counts'} changed; start anew")


def _kind(settings: Settings) -> Settings:
    """Settings less what may change while sampling goes on."""
    return replace(settings, samples=2, tolerance=None, batch=None, smooth=0.0)


def _only(estimates: Estimates, units: list[int]) -> Estimates:
    """Estimates of some of the units."""

    def part(measure: Measure) -> Measure:
        return Measure(*(np.asarray(values)[units] for values in (measure.value, measure.low, measure.high)))

    measures = (part(each) for each in (estimates.score, estimates.effect, estimates.margin))
    return Estimates(estimates.masks, estimates.correct, estimates.kept[units], *measures)
