"""One model and everything that can be asked of it about the clips in a workspace.

A session holds no setting that a request could change. Sessions of several models share one workspace: a clip that was
opened once can be asked about with every model, and one request at a time has the accelerator. Work that takes long
(`sweep`, `attribute`) gives the accelerator back after every step, so that a slider elsewhere still moves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from attribution.masking.distractors import EXAMPLES, Bank
from attribution.proof.captum_methods import Method
from attribution.result import Attribution
from attribution.settings import Modality, Settings
from interface.accelerator import tasks, zerogpu
from interface.session.errors import PageError, number, page_errors
from interface.session.workspace import Answer, Prepared, Upload, Workspace
from synchformer.config import Precision
from synchformer.inference.crop_checks import is_still, lacks
from synchformer.inference.engine import check_model
from synchformer.inference.prediction import Prediction, Synchronizability
from synchformer.inference.sweep import Sounds, read_around
from synchformer.media.crop import Crop, cut_crop, possible_offsets
from synchformer.media.probe import Media
from synchformer.modeling.synchformer import Synchformer
from synchformer.stats.intervals import Array

REPORT_SECONDS = 0.3  # between two partial attributions: the accelerator is free for a slider in between
AHEAD_SECONDS = 0.15  # of asking ahead, after which its answers are handed out
MAX_PARAMETERS_AHEAD = 30_000_000  # parameters of a model on a CPU: a larger one is asked for one offset at a time
OFFSETS_TOGETHER = 2  # offsets asked for in one turn on a CPU
OFFSETS_TOGETHER_ON_GPU = 32

LoadModel = Callable[[], Synchformer]


class Session:
    """A model behind the clips of a workspace.

    Args:
        model: with the offset head, in evaluation mode.
        name: what the page calls it.
        workspace: shared with the other sessions of the page; a new one by default.
        load_synchronizability_model: gives the model that tells synchronizability; None when there is none.
        precision: as in `predict`.
        distractors: videos and folders that fill what is masked, unless a visitor brings others.

    Raises:
        ValueError: for a model with another head, or in training mode.
    """

    def __init__(
        self,
        model: Synchformer,
        *,
        name: str = "mini",
        workspace: Workspace | None = None,
        load_synchronizability_model: LoadModel | None = None,
        precision: Precision = "auto",
        distractors: Sequence[Path] = (EXAMPLES,),
    ) -> None:
        check_model(model, "offset")
        self.model = model
        self.name = name
        self.workspace = workspace or Workspace()
        self.precision: Precision = precision
        self.load_synchronizability_model = load_synchronizability_model
        self.distractors = tuple(distractors)
        self._banks: dict[tuple[Path, ...], Bank] = {}
        zerogpu.hold(model)

    @property
    def device(self) -> str:
        """Where the model runs: `cpu` or `cuda`."""
        return next(self.model.parameters()).device.type

    def open(self, path: Path) -> Upload:
        """Take note of a video; see `Workspace.open`.

        Raises:
            PageError: when the file is no video with sound, or too short.
        """
        return self.workspace.open(path, self.model.config)

    def opened(self, key: object) -> Upload:
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
        return self.answer(key, start, offset).prediction

    def answer(self, key: object, start: object, offset: object) -> Answer:
        """As `predict`, with what the crop lacks. An answer that is known from before waits for no turn.

        Raises:
            PageError: as `predict`.
        """
        clip = self.opened(key)
        begin, moved = number("start", start), number("offset", offset)
        kept = self.workspace.features.get((self.name, clip.key, begin))
        frames = self._whole_frames(moved)
        if kept is not None and frames in kept.answers:
            return kept.answers[frames]
        with page_errors(clip.name), self.workspace.turn():
            return self._answer(clip, begin, moved)

    def ahead(self, key: object, start: object, offsets: Sequence[object]) -> tuple[list[Answer], list[float]]:
        """Answers for the first of `offsets`, as many as a moment allows, before anyone asks for them; they are kept.

        Args:
            key: of an opened clip.
            start: seconds; where the crop begins.
            offsets: seconds, whole frames; for those without sound there is no answer.

        Returns:
            the answers, and the offsets that are left: none where the model is too slow for asking ahead.

        Raises:
            PageError: as `predict`.
        """
        clip = self.opened(key)
        begin = number("start", start)
        low, high = possible_offsets(clip.info, self.model.config, begin)
        asked = [number("offset", offset) for offset in offsets]
        if not self.is_quick:
            return [], []
        kept = self.workspace.features.get((self.name, clip.key, begin))
        known = kept.answers if kept else {}
        possible = [each for each in asked if low - 1e-6 <= each <= high + 1e-6]
        frames = {each: place for each in possible if (place := self._whole_frames(each)) is not None}
        answers = [known[place] for place in frames.values() if place in known]
        left = [each for each, place in frames.items() if place not in known]
        end = time.monotonic() + AHEAD_SECONDS
        with page_errors(clip.name):
            while left and time.monotonic() < end:
                some, left = left[: self._together], left[self._together :]
                with self.workspace.turn():
                    answers += self._more(clip, begin, self._prepared(clip, begin), some)
        return answers, left

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

    def offsets(self, clip: Upload, start: float) -> tuple[float, ...]:
        """The model's offset classes, in seconds, for which the clip has sound at this start."""
        low, high = possible_offsets(clip.info, self.model.config, start)
        return tuple(offset for offset in self.model.config.grid if low - 1e-6 <= offset <= high + 1e-6)

    def answers(self, key: object, start: object, offsets: Sequence[float]) -> Iterator[Answer]:
        """Answers for offsets of whole frames; what is not known is asked for some at a time, with turns in between.

        Raises:
            PageError: as `predict`.
        """
        clip, begin = self.opened(key), number("start", start)
        for first in range(0, len(offsets), self._together):
            part = offsets[first : first + self._together]
            with page_errors(clip.name), self.workspace.turn():
                prepared = self._prepared(clip, begin)
                new = [each for each in part if self._whole_frames(each) not in prepared.answers]
                made = {each.prediction.applied_offset: each for each in self._more(clip, begin, prepared, new)}
            for each in part:
                yield made[each] if each in made else prepared.answers[self._whole_frames(each) or 0]

    def prepared(self, key: object, start: object) -> Prepared:
        """What is kept of the crop at a start.

        Raises:
            PageError: as `predict`.
        """
        clip, begin = self.opened(key), number("start", start)
        with page_errors(clip.name), self.workspace.turn():
            return self._prepared(clip, begin)

    def attribute(
        self,
        key: object,
        start: object,
        offset: object,
        settings: Settings,
        distractors: Sequence[Path] | None = None,
        resume: Attribution | None = None,
    ) -> Generator[Attribution]:
        """What is known after every few masks; closing the generator stops the work, the last value stays good.

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
        clip = self.crop(key, start, offset)
        with page_errors(clip.path.name):
            with self.workspace.turn():
                bank = self._bank(tuple(distractors or self.distractors))
            parts = self._rounds(bank, clip, replace(settings, precision=self.precision), resume)
            with closing(parts):
                while True:
                    with self.workspace.turn():
                        part = next(parts, None)
                    if part is None:
                        return
                    yield part

    def synchronizability(self, key: object, start: object, offset: object) -> Synchronizability:
        """The probability that picture and sound can be matched at all (section 4.2).

        Raises:
            PageError: as `predict`; when there is no model for it.
        """
        clip = self.opened(key)
        begin, moved = number("start", start), number("offset", offset)
        with page_errors(clip.name):
            model = self._synchronizability_model()
            with self.workspace.turn():
                media = self._prepared(clip, begin).media
                cut = cut_crop(media, begin, moved, config=model.config)
                answer: Synchronizability = zerogpu.run(tasks.synchronizability, model, cut, self.precision)
                return answer

    def crop(self, key: object, start: object, offset: object) -> Crop:
        """The crop as the model gets it.

        Raises:
            PageError: as `predict`.
        """
        clip = self.opened(key)
        begin, moved = number("start", start), number("offset", offset)
        with page_errors(clip.name), self.workspace.turn():
            media = self._prepared(clip, begin).media
            return cut_crop(media, begin, moved, config=self.model.config)

    def media(self, key: object, start: object) -> Media:
        """What was decoded around a start: enough for every offset, on the file's clock.

        Raises:
            PageError: as `predict`.
        """
        return self.prepared(key, start).media

    def explain(
        self,
        key: object,
        start: object,
        offset: object,
        settings: Settings,
        method: Method,
        distractors: Sequence[Path] | None = None,
    ) -> dict[Modality, Array]:
        """Values of the units of each stream by one of captum's methods; see `attribution.proof.captum_methods`.

        Raises:
            PageError: as `attribute`.
        """
        clip = self.crop(key, start, offset)
        with page_errors(clip.path.name), self.workspace.turn():
            bank = self._bank(tuple(distractors or self.distractors)).without(clip.path)
            asked = replace(settings, precision=self.precision)
            values: dict[Modality, Array] = zerogpu.run(tasks.explained, self.model, bank, clip, asked, method)
            return values

    def shifted(self, key: object, start: object, offset: object) -> Path:
        """A copy of an opened clip with its sound moved, to be played; see `Workspace.shifted`.

        Raises:
            PageError: when the clip is not held any more or cannot be copied.
        """
        return self.workspace.shifted(self.opened(key), number("start", start), number("offset", offset))

    def _synchronizability_model(self) -> Synchformer:
        if self.load_synchronizability_model is None:
            raise PageError(f"There are no weights here that tell synchronizability for {self.name}.")
        return self.load_synchronizability_model()

    def _bank(self, places: tuple[Path, ...]) -> Bank:
        """Distractors; those of the project are kept in memory, a visitor's own only for one attribution."""
        if places in self._banks:
            return self._banks[places]
        bank: Bank = zerogpu.run(tasks.bank, self.model, places, self.precision)
        if places == self.distractors:
            self._banks[places] = bank
        return bank

    def _rounds(self, bank: Bank, clip: Crop, settings: Settings, resume: Attribution | None) -> Generator[Attribution]:
        """Partial attributions; on ZeroGPU over several calls, for each of them is bounded in time."""
        seconds = zerogpu.ROUND_SECONDS if zerogpu.zero_gpu() else math.inf
        last = resume
        while True:
            parts = zerogpu.stream(tasks.attribute, self.model, bank, clip, settings, last, REPORT_SECONDS, seconds)
            for last in parts:
                yield last
            if last is None or last.finished:
                return

    def _answer(self, clip: Upload, start: float, offset: float) -> Answer:
        prepared = self.workspace.features.get((self.name, clip.key, start))
        if prepared is None:
            return self._first(clip, start, offset)[1]
        if self._whole_frames(offset) is not None:
            return self._more(clip, start, prepared, [offset])[0]
        cut = cut_crop(prepared.media, start, offset, config=self.model.config)
        prediction = zerogpu.run(tasks.other_sound, self.model, cut, prepared.encoding, self.precision)
        return _as_answer(cut, prediction, prepared.still)

    def _first(self, clip: Upload, start: float, offset: float) -> tuple[Prepared, Answer]:
        """Decode, encode and decide, and keep all of it for the offsets to come."""
        begin = time.perf_counter()
        media = read_around(self.model, clip.path, start)
        cut = cut_crop(media, start, offset, config=self.model.config)
        decode = time.perf_counter() - begin
        encoding, prediction = zerogpu.run(tasks.first_answer, self.model, cut, self.precision)
        prediction = replace(prediction, timing=replace(prediction.timing, decode=decode))
        prepared = Prepared(encoding, media, Sounds.of(cut, encoding), is_still(cut.video))
        answer = self._kept(prepared, _as_answer(cut, prediction, prepared.still))
        return self.workspace.features.put((self.name, clip.key, start), prepared), answer

    def _more(self, clip: Upload, start: float, prepared: Prepared, offsets: Sequence[float]) -> list[Answer]:
        """Answers for other offsets of whole frames."""
        if not offsets:
            return []
        cuts = [cut_crop(prepared.media, start, offset, config=self.model.config) for offset in offsets]
        sounds, predictions = zerogpu.run(tasks.more_answers, self.model, prepared.sounds, cuts, self.precision)
        prepared.sounds.segments.update(sounds.segments)
        answers = [_as_answer(cut, each, prepared.still) for cut, each in zip(cuts, predictions, strict=True)]
        return [self._kept(prepared, each) for each in answers]

    def _kept(self, prepared: Prepared, answer: Answer) -> Answer:
        """Keep an answer for the next time it is asked for, when nothing is decoded or encoded."""
        frames = self._whole_frames(answer.prediction.applied_offset)
        if frames is not None:
            prepared.answers[frames] = answer
        return answer

    def _prepared(self, clip: Upload, start: float) -> Prepared:
        """Decoded media and the picture's features at a start, from memory or made now."""
        kept = self.workspace.features.get((self.name, clip.key, start))
        return kept or self._first(clip, start, 0.0)[0]

    def _whole_frames(self, offset: float) -> int | None:
        """An offset as a number of frames, within the model's range; None for any other."""
        config = self.model.config
        frames = round(offset * config.video_fps)
        whole = abs(frames / config.video_fps - offset) < 1e-6 and abs(offset) <= config.max_offset + 1e-6
        return frames if whole else None

    @property
    def _together(self) -> int:
        if zerogpu.zero_gpu():
            return 2**16  # all of them: every call costs seconds
        return OFFSETS_TOGETHER if self.device == "cpu" else OFFSETS_TOGETHER_ON_GPU

    @property
    def is_quick(self) -> bool:
        """Whether the model is small or fast enough to be asked about every offset before anyone needs it."""
        return self.device != "cpu" or sum(each.numel() for each in self.model.parameters()) <= MAX_PARAMETERS_AHEAD


def _as_answer(cut: Crop, prediction: Prediction, still: bool) -> Answer:
    missing = lacks(cut, still=still)
    return Answer(prediction, (*cut.notes, *missing), missing)
