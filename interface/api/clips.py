"""For programs: named endpoints for `gradio_client` and `curl`, which are MCP tools as well where MCP is installed.

    from gradio_client import Client, handle_file
    Client("http://127.0.0.1:7860").predict(handle_file("clip.mp4"), api_name="/predict")

Every endpoint takes a video and where to look, and answers with one JSON object; what goes wrong is one sentence. Long
ones stream: each object is complete in itself, the last one is the result, and who stops listening stops the work.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import gradio as gr

from attribution.result import Attribution
from attribution.settings import Settings
from interface.api.endpoint import LOADING_SECONDS, Reply, asked, endpoint, model_field, video_field
from interface.api.films import add_films
from interface.session import limits
from interface.session.consensus import clip_consensus
from interface.session.errors import PageError, number, page_errors
from interface.session.model_registry import Models, wait_for
from interface.session.session import Session
from interface.session.upload_checks import notes_on_clip
from interface.session.workspace import Answer, Upload
from interface.tabs.components import JOB, QUICK
from synchformer.checkpoints.experience import experience
from synchformer.checkpoints.registry import CHECKPOINTS
from synchformer.consensus.consensus import Consensus
from synchformer.inference.prediction import Prediction
from synchformer.media.crop import possible_offsets

STREAMS = {"both": ("audio", "video"), "audio": ("audio",), "video": ("video",)}


def mcp_available() -> bool:
    """Whether `launch(mcp_server=True)` can work: the extra `gradio[mcp]` is installed."""
    return find_spec("mcp") is not None


def add_api(models: Models) -> None:
    """Add the endpoints to the page that is being built, out of sight.

    Args:
        models: what may be asked, and the workspace in which uploads are opened.
    """
    ask = Endpoints(models)
    largest = models.max_offset

    def place() -> list[gr.components.Component]:
        return [
            video_field(),
            gr.Number(label="first second of the five that are looked at", value=0.0, minimum=0, visible=False),
        ]

    def offset() -> gr.Number:
        label = "seconds by which the sound is made early before asking; late below zero"
        return gr.Number(label=label, value=0.0, minimum=-largest, maximum=largest, visible=False)

    endpoint(ask.predict, [*place(), offset(), model_field(models)], QUICK)
    endpoint(ask.synchronizability, [*place(), offset(), model_field(models)], QUICK)
    endpoint(ask.sweep, [*place(), *_range(largest), model_field(models)], JOB)
    endpoint(ask.attribute, [*place(), offset(), *_settings(), model_field(models)], JOB)
    add_films(models)


def _range(largest: float) -> list[gr.components.Component]:
    bounds: dict[str, Any] = {"minimum": -largest, "maximum": largest, "visible": False}
    return [
        gr.Number(label="first applied offset in seconds", value=-largest, **bounds),
        gr.Number(label="last applied offset in seconds", value=largest, **bounds),
        gr.Number(label="seconds between two of them", value=0.2, minimum=0.02, maximum=2 * largest, visible=False),
    ]


def _settings() -> list[gr.components.Component]:
    usual = Settings()
    return [
        gr.Number(label="masks per curve", value=usual.samples, precision=0, visible=False, **limits.MASKS.bounds),
        gr.Radio(label="streams to explain", choices=list(STREAMS), value="both", visible=False),
        gr.Radio(label="what is replaced", choices=["token", "input"], value=usual.level, visible=False),
        gr.Number(label="seconds of a moment", value=usual.unit_seconds, visible=False, **limits.UNIT_SECONDS.bounds),
        gr.Number(label="probability to keep a moment", value=usual.keep, visible=False, **limits.KEEP.bounds),
        gr.Number(
            label="stop when intervals are narrower; 0: never", value=0.0, visible=False, **limits.TOLERANCE.bounds
        ),
        gr.Radio(label="correct is", choices=list(limits.REFERENCES), value="prediction", visible=False),
        gr.Number(label="seed", value=usual.seed, precision=0, visible=False, **limits.SEED.bounds),
    ]  # fmt: skip


class Endpoints:
    """The functions behind the endpoints."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def predict(self, video: str, start: float = 0.0, offset: float = 0.0, model: str = "mini") -> Reply:
        """Measure how far a video's sound is off, and test whether the answer follows the sound when that is moved.

        Offset above zero: the sound is early.

        Args:
            video: a video file with sound.
            start: first second of the crop of five seconds on the file's clock; two others are measured where they fit.
            offset: seconds by which the sound is made early for the single answer (late below zero).
            model: name of the model.

        Returns:
            model, start, stated (whether the model understands the clip well enough to state an offset), stated_offset
            (in seconds; null where none is), supported_offset, supported and answerable (in how many of how many places
            the answer followed the sound), probability_right, sentence, seen (what the model has seen), notes
            (sentences about what the crop lacks), and single: one answer, not tested, with applied_offset, offset (the
            likeliest), confidence (its probability), telling (whether there is one clear peak), grid, probabilities.
        """
        with self._asked(video, model) as (session, clip):
            answer, consensus = session.answer(clip.key, start, offset), clip_consensus(session, clip.key, start)
            return _as_reply(answer, consensus, session, start)

    def synchronizability(self, video: str, start: float = 0.0, offset: float = 0.0, model: str = "mini") -> Reply:
        """Tell whether a video's sound can be matched to its picture at all (section 4.2 of the paper).

        Args:
            video: a video file with sound.
            start: first second of the crop on the file's clock.
            offset: seconds by which the sound is made early before asking (late below zero).
            model: name of the model for whose crops the question is asked.

        Returns:
            start, applied_offset, probability (that it can be matched), sentence, notes.
        """
        with self._asked(video, model) as (session, clip):
            with page_errors(clip.name):
                wait_for(self._models.synchronizability_steps(session), LOADING_SECONDS)
            result = session.synchronizability(clip.key, start, offset)
            notes = notes_on_clip(session.crop(clip.key, start, offset))
            answer = {"start": start, "applied_offset": offset, "probability": result.probability}
            return answer | {"sentence": result.sentence, "notes": list(notes)}

    def sweep(
        self,
        video: str,
        start: float = 0.0,
        first: float = -2.0,
        last: float = 2.0,
        step: float = 0.2,
        model: str = "mini",
    ) -> Iterator[Reply]:
        """Measure a video under many applied offsets: a model that works follows the sound. Streams after each offset.

        Args:
            video: a video file with sound.
            start: first second of the crop on the file's clock.
            first: first applied offset in seconds; offsets for which the file has no sound are left out and counted.
            last: last applied offset in seconds.
            step: seconds between two applied offsets; at most 101 offsets.
            model: name of the model.

        Returns:
            model, start, finished, left_out (how many offsets do not fit into the file), results (for each applied
            offset: applied_offset, offset, residual, confidence, telling, probabilities), grid (seconds).
        """
        with self._asked(video, model) as (session, clip):
            wanted = _steps(first, last, step)
            offsets = _possible(session, clip, number("start", start), wanted)
            answer = {"model": session.name, "start": start, "grid": list(session.model.config.grid)}
            results: list[Reply] = []
            for prediction in session.sweep(clip.key, start, offsets):
                results.append(_sweep_row(prediction))
                state = {"finished": len(results) == len(offsets), "left_out": len(wanted) - len(offsets)}
                yield answer | state | {"results": list(results)}

    def attribute(
        self,
        video: str,
        start: float = 0.0,
        offset: float = 0.0,
        samples: int = 2000,
        streams: str = "both",
        level: str = "token",
        chunk: float = 0.1,
        keep: float = 0.5,
        tolerance: float = 0.0,
        reference: str = "prediction",
        seed: int = 0,
        model: str = "mini",
    ) -> Iterator[Reply]:
        """Find the moments of a video that made the model decide (section 4.1 of the paper). Streams partial results.

        Args:
            video: a video file with sound.
            start: first second of the crop on the file's clock.
            offset: seconds by which the sound is made early before asking (late below zero).
            samples: masks per curve, 100 to 20,000.
            streams: both, audio or video.
            level: token replaces features (fast), input replaces frames and samples (slow, nothing leaks).
            chunk: seconds of a moment, 0.02 to 1.
            keep: probability that a moment is kept, 0.05 to 0.95.
            tolerance: stop as soon as every 95 % interval is narrower, at most 0.5; 0 draws all masks.
            reference: what counts as correct: prediction (of the whole clip) or applied (the applied offset).
            seed: of the masks.
            model: name of the model.

        Returns:
            video (its name), state (running, complete, precise, or stopped when time was up), masks, left, rate (masks
            per second), sentence, target, settings, distractors, curves (for each stream and moment: begin and end in
            seconds of the crop, and score, effect and margin with the ends of their 95 % intervals; `_smooth`: averaged
            over neighboring moments, as the page shows them).
        """
        with self._asked(video, model) as (session, clip):
            settings = _read_settings(
                samples=samples, modalities=streams, level=level, unit_seconds=chunk, keep=keep, tolerance=tolerance,
                reference=reference, seed=seed,
            )  # fmt: skip
            end = time.monotonic() + limits.MAX_ATTRIBUTION_SECONDS
            for attribution in session.attribute(clip.key, start, offset, settings):
                late = time.monotonic() > end
                yield _attribution_reply(attribution, clip.name, stopped=late)
                if late:
                    return

    @contextmanager
    def _asked(self, video: str | None, model: str) -> Iterator[tuple[Session, Upload]]:
        """The session of a model and the opened video, which is forgotten afterwards; errors become gradio's."""
        with asked(self._models, video, model) as (session, path):
            clip = session.open(path)
            try:
                yield session, clip
            finally:
                self._models.workspace.forget(clip.key)


def _as_reply(answer: Answer, consensus: Consensus, session: Session, start: float) -> Reply:
    prediction = answer.prediction
    single = {
        "applied_offset": prediction.applied_offset,
        "offset": prediction.offset,
        "confidence": prediction.confidence,
        "telling": answer.is_conclusive,
        "grid": list(prediction.grid),
        "probabilities": list(prediction.probabilities),
        "sentence": answer.sentence,
    }
    place = {"model": session.name, "start": start}
    seen = experience(session.name) if session.name in CHECKPOINTS else ""
    return place | consensus.as_dict() | {"single": single, "seen": seen, "notes": list(answer.notes)}


def _sweep_row(prediction: Prediction) -> Reply:
    return {
        "applied_offset": prediction.applied_offset,
        "offset": prediction.offset,
        "residual": round(prediction.offset - prediction.applied_offset, 6),
        "confidence": prediction.confidence,
        "telling": prediction.is_conclusive,
        "probabilities": list(prediction.probabilities),
    }


def _attribution_reply(attribution: Attribution, name: str, *, stopped: bool) -> Reply:
    states = {curve.state for curve in attribution.curves}
    state = "running" if "running" in states else "precise" if states == {"precise"} else "complete"
    progress = {"masks": attribution.masks, "left": attribution.left, "rate": attribution.rate}
    answer = attribution.as_json()
    del answer["path"]  # gradio's client would take an object with a path for a file, and fetch it
    return answer | {"video": name, "state": "stopped" if stopped and state == "running" else state} | progress


def _steps(first: object, last: object, step: object) -> list[float]:
    """Offsets from `first` to `last`, both included where the step fits.

    Raises:
        PageError: a step of zero, an empty range, or too many offsets.
    """
    low, high, width = number("first offset", first), number("last offset", last), number("step", step)
    if width <= 0 or high < low:
        raise PageError(
            f"A sweep goes from a first to a later last offset, not from {low:g} to {high:g} by {width:g} s."
        )
    count = int((high - low) / width + 1e-6) + 1
    if count > limits.MAX_SWEEP_OFFSETS:
        raise PageError(
            f"A sweep has at most {limits.MAX_SWEEP_OFFSETS} offsets, and {count} were asked for; take a larger step."
        )
    return [round(low + index * width, 6) for index in range(count)]


def _possible(session: Session, clip: Upload, start: float, wanted: list[float]) -> list[float]:
    """The offsets for which the file has sound at this start.

    Raises:
        PageError: when there is none.
    """
    low, high = possible_offsets(clip.info, session.model.config, start)
    fitting = [offset for offset in wanted if low - 1e-6 <= offset <= high + 1e-6]
    if not fitting:
        raise PageError(
            f"At start {start:.2f} s {clip.name} has sound for offsets from {low + 0.0:+.2f} to {high:+.2f} s only; "
            "choose some of these, or another start."
        )
    return fitting


def _read_settings(**asked: Any) -> Settings:
    """The settings that were asked for.

    Raises:
        PageError: when a value is missing or out of range; one sentence.
    """
    asked["tolerance"] = asked["tolerance"] or None
    asked["modalities"] = STREAMS.get(asked["modalities"], ())
    try:
        return replace(Settings(**asked), seed=int(asked["seed"]), samples=int(asked["samples"]))
    except (TypeError, ValueError) as error:
        raise PageError(f"These settings cannot be used: {error}.") from error
