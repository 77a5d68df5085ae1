"""An attribution that a visitor asked for: what was asked, what is kept of it, and how it goes on."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attribution.result import Attribution
from attribution.settings import Settings
from interface.session import limits
from interface.session.errors import PageError, number
from interface.session.model_registry import Models
from interface.session.workspace import Workspace


@dataclass(frozen=True)
class AttributionJob:
    """What an attribution was asked: kept with the visitor, so that it can go on and be exported.

    `token` is the key under which the workspace keeps the result; `key`, `start` and `offset` name the crop.
    """

    token: str
    key: str
    model: str
    start: float
    offset: float
    settings: Settings
    distractors: tuple[Path, ...] = ()

    @property
    def place(self) -> tuple[str, float, float]:
        """The crop: the clip's key, the start and the offset."""
        return self.key, self.start, self.offset


def new_job(key: str | None, model: str, start: float, offset: float, form: Mapping[str, Any]) -> AttributionJob:
    """A job from what the page holds; everything is checked before it waits in the queue.

    Raises:
        PageError: when no clip is open, or a setting is out of range; one sentence.
    """
    if key is None:
        raise PageError("Choose a video first.")
    settings, distractors = read_settings(form)
    return AttributionJob(secrets.token_urlsafe(16), key, model, float(start), float(offset), settings, distractors)


def read_settings(form: Mapping[str, Any]) -> tuple[Settings, tuple[Path, ...]]:
    """Settings, and a visitor's own distractors, from the fields of the form.

    Raises:
        PageError: when a value is out of range; one sentence.
    """
    values = dict(form)
    distractors = tuple(Path(path) for path in values.pop("distractors") or ())
    samples, seed = (round(number(name, values.pop(name))) for name in ("samples", "seed"))
    if samples > limits.MASKS.high:
        raise PageError(
            f"At most {limits.MASKS.high:.0f} masks can be asked for here, not {samples}; use the command line."
        )
    values["tolerance"] = values["tolerance"] or None
    values["modalities"] = tuple(values["modalities"])
    try:
        return Settings(samples=samples, seed=seed, **values), distractors
    except (TypeError, ValueError) as error:
        raise PageError(f"These settings cannot be used: {error}.") from error


def kept_attribution(workspace: Workspace, job: AttributionJob | None) -> Attribution | None:
    """What is known of a job so far; None before its first masks, and when it is not held any more."""
    if job is None:
        return None
    try:
        return workspace.kept(job.token)
    except PageError:
        return None


def prolonged(workspace: Workspace, job: AttributionJob | None, samples: float) -> AttributionJob:
    """The job as it goes on: where it was stopped, or with `samples` more masks a curve when it is finished.

    Raises:
        PageError: when there is nothing that could go on.
    """
    if job is None:
        raise PageError("There is no attribution yet that could go on.")
    attribution = workspace.kept(job.token)
    if not attribution.finished:
        return job
    masks = max(curve.estimates.masks for curve in attribution.curves)
    return replace(job, settings=replace(job.settings, samples=masks + round(samples), tolerance=None))


def run_job(models: Models, job: AttributionJob) -> Generator[Attribution]:
    """Partial results as they come; each is kept, so that closing the generator loses nothing.

    Raises:
        PageError: when the clip or the model is not held any more, or the clip cannot be explained with the settings.
    """
    session, before = models.get(job.model), kept_attribution(models.workspace, job)
    parts = session.attribute(*job.place, job.settings, job.distractors or None, resume=before)
    with closing(parts):
        for attribution in parts:
            models.workspace.keep(attribution, job.token)
            yield attribution
