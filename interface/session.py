"""One model and everything that can be asked of it about the clips in a workspace.

A session holds no setting that a request could change. Sessions of several models share one workspace: a clip that was
opened once can be asked about with every model, and one request at a time has the accelerator. Work that takes long
(`sweep`, `attribute`) gives the accelerator back after every step, so that a slider elsewhere still moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from attribution.distractors import EXAMPLES, Bank, load_bank
from attribution.intervals import Array
from attribution.methods import Method, explain
from attribution.result import Attribution
from attribution.settings import Modality, Settings
from attribution.study import stream
from attribution.target import Target, find_target
from attribution.units import make_units
from interface.errors import PageError, number, sentences
from interface.workspace import Opened, Prepared, Workspace
from synchformer.clip import Clip, cut_clip, possible_offsets
from synchformer.media import Media
from synchformer.model import Synchformer
from synchformer.prediction import (
    Encoding,
    Precision,
    Prediction,
    Synchronizability,
    decide,
    encode,
    predict_synchronizability,
)
from synchformer.sweep import read_around

FEW_DISTRACTORS = 3  # for captum's methods, which try every mask with every distractor
SHAP_MASKS = 300
REPORT_SECONDS = 0.3  # between two partial attributions: the accelerator is free for a slider in between

Judge = Callable[[], Synchformer]


class Session:
    """A model behind the clips of a workspace.

    Args:
        model: with the offset head, in evaluation mode.
        name: what the page calls it.
        workspace: shared with the other sessions of the page; a new one by default.
        judge: gives the model that tells synchronizability, loaded when first asked for; None when there is none.
        precision: as in `predict`.
        distractors: videos and folders that fill what is masked, unless a visitor brings others.

    Raises:
        ValueError: for a model with another head.
    """

    def __init__(
        self,
        model: Synchformer,
        *,
        name: str = "mini",
        workspace: Workspace | None = None,
        judge: Judge | None = None,
        precision: Precision = "auto",
        distractors: Sequence[Path] = (EXAMPLES,),
    ) -> None:
        if model.config.head != "offset":
            raise ValueError(f"the page needs a model with the offset head, not {model.config.head}")
        self.model = model
        self.name = name
        self.workspace = workspace or Workspace()
        self.precision: Precision = precision
        self.judge = judge
        self.distractors = tuple(distractors)
        self._banks: dict[tuple[Path, ...], Bank] = {}

    @property
    def device(self) -> str:
        """Where the model runs: `cpu` or `cuda`."""
        return next(self.model.parameters()).device.type

    def open(self, path: Path) -> Opened:
        """Take note of a video; see `Workspace.open`.

        Raises:
            PageError: when the file is no video with sound, or too short.
        """
        return self.workspace.open(path, self.model.config)

    def opened(self, key: object) -> Opened:
        """The clip of a key.

        Raises:
            PageError: when it is not held any more.
        """
        return self.workspace.opened(key, self.model.config)

    def predict(self, key: object, start: object, offset: object) -> Prediction:
        """The distribution over offsets at one start with the sound moved by `offset` seconds.

        The picture is decoded and encoded once for every start. Arguments may come from a browser: they are checked.

        Raises:
            PageError: when the clip is not held any more, or cannot be measured there.
        """
        clip = self.opened(key)
        begin, moved = number("start", start), number("offset", offset)
        with sentences(clip.name), self.workspace.turn():
            return self._predict(clip, begin, moved)

    def sweep(self, key: object, start: object, offsets: Sequence[float] | None = None) -> Iterator[Prediction]:
        """Predictions under many offsets, in their order; closing the iterator stops the work.

        Args:
            key: of an opened clip.
            start: seconds; where the crop begins.
            offsets: seconds; None for the model's whole range in steps of a class, as far as the clip has sound.

        Raises:
            PageError: as `predict`.
        """
        clip = self.opened(key)
        begin = number("start", start)
        for offset in self.offsets(clip, begin) if offsets is None else offsets:
            yield self.predict(key, begin, offset)

    def offsets(self, clip: Opened, start: float) -> tuple[float, ...]:
        """The model's offset classes, in seconds, for which the clip has sound at this start."""
        low, high = possible_offsets(clip.info, self.model.config, start)
        return tuple(offset for offset in self.model.config.grid if low - 1e-6 <= offset <= high + 1e-6)

    def attribute(
        self,
        key: object,
        start: object,
        offset: object,
        settings: Settings,
        distractors: Sequence[Path] | None = None,
        resume: Attribution | None = None,
    ) -> Iterator[Attribution]:
        """What is known after every few masks; closing the iterator stops the work, the last value stays good.

        Args:
            key: of an opened clip.
            start: seconds; where the crop begins.
            offset: seconds by which the sound is moved.
            settings: how to mask.
            distractors: video files or folders that fill what is masked; the project's own examples by default.
            resume: an attribution of the same clip, start, offset and settings (but for their `samples` and
                `tolerance`), which then goes on.

        Raises:
            PageError: as `predict`; when the distractors cannot be used or the settings do not fit the clip.
        """
        clip = self.clip(key, start, offset)
        with sentences(clip.path.name):
            with self.workspace.turn():
                bank = self._bank(tuple(distractors or self.distractors))
            asked = replace(settings, precision=self.precision)
            parts = stream(self.model, clip, bank, asked, resume=resume, every=REPORT_SECONDS)
            try:
                while True:
                    with self.workspace.turn():
                        part = next(parts, None)
                    if part is None:
                        return
                    yield part
            finally:
                parts.close()

    def synchronizability(self, key: object, start: object, offset: object) -> Synchronizability:
        """The probability that picture and sound can be matched at all (section 4.2).

        Raises:
            PageError: as `predict`; when there is no model for it.
        """
        clip = self.opened(key)
        begin, moved = number("start", start), number("offset", offset)
        with sentences(clip.name):
            model = self._judge_model()
            with self.workspace.turn():
                media = self._prepared(clip, begin).media
                return predict_synchronizability(
                    model, cut_clip(media, begin, moved, config=model.config), precision=self.precision
                )

    def clip(self, key: object, start: object, offset: object) -> Clip:
        """The crop as the model is fed it.

        Raises:
            PageError: as `predict`.
        """
        clip = self.opened(key)
        begin, moved = number("start", start), number("offset", offset)
        with sentences(clip.name), self.workspace.turn():
            media = self._prepared(clip, begin).media
            return cut_clip(media, begin, moved, config=self.model.config)

    def media(self, key: object, start: object) -> Media:
        """What was decoded around a start: enough for every offset, on the file's clock.

        Raises:
            PageError: as `predict`.
        """
        clip = self.opened(key)
        begin = number("start", start)
        with sentences(clip.name), self.workspace.turn():
            return self._prepared(clip, begin).media

    def explain(
        self,
        key: object,
        start: object,
        offset: object,
        settings: Settings,
        method: Method,
        distractors: Sequence[Path] | None = None,
    ) -> dict[Modality, Array]:
        """Values of the units of each stream by one of captum's methods; see `attribution.methods`.

        Raises:
            PageError: as `attribute`.
        """
        clip = self.clip(key, start, offset)
        with sentences(clip.path.name), self.workspace.turn():
            bank = self._bank(tuple(distractors or self.distractors)).without(clip.path)
            others = [each.encoding for each in bank.distractors[:FEW_DISTRACTORS]]
            encoding = self._encode(clip, None)
            target = self._target(encoding, settings)
            streams = {name: make_units(self.model.config, (name,), settings.chunk) for name in settings.modalities}
            return {
                name: explain(self.model, encoding, others, units, target, method, samples=SHAP_MASKS)
                for name, units in streams.items()
            }

    def _target(self, encoding: Encoding, settings: Settings) -> Target:
        logits = torch.tensor(decide(self.model, encoding, precision=self.precision).logits)
        return find_target(self.model.config, logits, encoding.applied_offset, settings.reference)

    def shifted(self, key: object, start: object, offset: object) -> Path:
        """A copy of an opened clip with its sound moved, to be played; see `Workspace.shifted`.

        Raises:
            PageError: when the clip is not held any more or cannot be copied.
        """
        return self.workspace.shifted(self.opened(key), number("start", start), number("offset", offset))

    def _judge_model(self) -> Synchformer:
        if self.judge is None:
            raise PageError(f"There are no weights here that tell synchronizability for {self.name}.")
        return self.judge()

    def _bank(self, places: tuple[Path, ...]) -> Bank:
        """Distractors; those of the project are kept in memory, a visitor's own only for one attribution."""
        if places in self._banks:
            return self._banks[places]
        bank = load_bank(self.model, places, precision=self.precision)
        if places == self.distractors:
            self._banks[places] = bank
        return bank

    def _predict(self, clip: Opened, start: float, offset: float) -> Prediction:
        begin = time.perf_counter()
        kept = self.workspace.features.get((self.name, clip.key, start))
        media = kept.media if kept else read_around(self.model, clip.path, start)
        cut = cut_clip(media, start, offset, config=self.model.config)
        decode = 0.0 if kept else time.perf_counter() - begin
        encoding = self._encode(cut, kept.encoding if kept else None)
        if kept is None:
            self._keep(clip, start, Prepared(encoding, media))
        prediction = decide(self.model, encoding, precision=self.precision)
        return replace(prediction, timing=replace(prediction.timing, decode=decode))

    def _prepared(self, clip: Opened, start: float) -> Prepared:
        """Decoded media and the picture's features at a start, from memory or made now."""
        kept = self.workspace.features.get((self.name, clip.key, start))
        if kept is not None:
            return kept
        media = read_around(self.model, clip.path, start)
        encoding = self._encode(cut_clip(media, start, 0.0, config=self.model.config), None)
        return self._keep(clip, start, Prepared(encoding, media))

    def _keep(self, clip: Opened, start: float, prepared: Prepared) -> Prepared:
        return self.workspace.features.put((self.name, clip.key, start), prepared)

    def _encode(self, cut: Clip, like: Encoding | None) -> Encoding:
        return encode(self.model, cut, precision=self.precision, like=like)
