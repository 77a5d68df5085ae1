"""Sliding windows over a video of any length: the model's distribution under known shifts of the sound.

The file is decoded once, in chunks. Every segment of picture and of sound is encoded once and kept only as long as a
window can still need it, so that memory does not grow with the film and cost grows linearly. Windows whose hop is a
multiple of the segments' stride share them; any other hop lays the segments differently over the events of each window,
which averages out what depends on that, and costs as many more segments.

Shape legend: T frames, n samples, S segments of a window, N segments, t tokens, D channels, M shifts, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synchformer.config import Precision, SynchformerConfig
from synchformer.inference.coverage import Coverage
from synchformer.inference.engine import (
    Run,
    check_model,
    device_of,
    encode_pictures,
    encode_sounds,
    naming,
    pass_size,
    run_locally,
    synchronize,
)
from synchformer.media.crop import center_crop
from synchformer.media.decode import OpenMedia, open_media
from synchformer.media.probe import Media, MediaError
from synchformer.modeling.synchformer import Synchformer

CHUNK_SEGMENTS = 128  # strides decoded together: 41 s
MAX_FAILURES = 3  # chunks in a row that cannot be decoded, after which the rest of the file is given up
ENCODED, ASKED = 0.7, 0.99  # of the progress through a chunk, when all is encoded and when all is asked

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """Which windows and which shifts.

    Times in frames of the model's rate: `hop` between windows, `shifts` of the sound (above zero: the sound is taken
    later, so that it runs ahead), `start` and `stop` of the part of the file that is read at all (None: its end);
    `chunk` strides are decoded together.
    """

    hop: int
    shifts: tuple[int, ...]
    start: int = 0
    stop: int | None = None
    chunk: int = CHUNK_SEGMENTS

    def check(self, config: SynchformerConfig) -> None:
        """Say what does not fit.

        Raises:
            ValueError: a hop below one frame, no shifts, or an empty part.
        """
        if self.hop < 1:
            raise ValueError(f"hop must be at least 1 frame, not {self.hop}")
        if not self.shifts:
            raise ValueError("at least one shift of the sound is needed, such as 0")
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise ValueError(f"the part from frame {self.start} to frame {self.stop} is empty; choose a later stop")
        if self.chunk < 1:
            raise ValueError(f"chunk must be at least 1 stride, not {self.chunk}")


@dataclass(frozen=True)
class Window:
    """What the model said about one window: a distribution for every shift for which the file holds sound.

    `start` and `stop` are seconds on the file's clock (of the picture); `shifts` seconds (M,), `probabilities` (M, C).
    A file whose own offset is d shows the model a total offset of d + shift.
    """

    start: float
    stop: float
    shifts: Floats
    probabilities: Floats

    @property
    def center(self) -> float:
        """The middle of the picture's interval."""
        return (self.start + self.stop) / 2


@dataclass
class Store:
    """Encoded segments by their first frame: picture (t_v, D) and sound (t_a, D)."""

    video: dict[int, Tensor] = field(default_factory=dict)
    audio: dict[int, Tensor] = field(default_factory=dict)

    def forget(self, video_before: int, audio_before: int) -> None:
        """Drop segments that begin before these frames."""
        for kept, before in ((self.video, video_before), (self.audio, audio_before)):
            for frame in [frame for frame in kept if frame < before]:
                del kept[frame]

    def __len__(self) -> int:
        return len(self.video) + len(self.audio)


Watcher = Callable[[Media], None]
Progress = Callable[[float, float], None]


def read_windows(
    model: Synchformer,
    path: str | Path,
    plan: Plan,
    *,
    precision: Precision = "auto",
    watch: Watcher | None = None,
    progress: Progress | None = None,
    notes: list[str] | None = None,
    coverage: Coverage | None = None,
    run: Run = run_locally,
) -> Iterator[Window]:
    """The windows of a file, in order of time.

    Args:
        model: a Synchformer in evaluation mode; the classes are those of its head.
        path: a video file with sound.
        plan: which windows and shifts; shifts without sound in the part are left out of a window, and windows without
            picture or sound are left out.
        precision: as in `predict`.
        watch: called with every decoded chunk; neighbors overlap by one segment's length.
        progress: called with the seconds that are done and their total after every pass of an encoder or of the
            synchronization module; what it raises ends the work.
        notes: gets a sentence for everything that a reader of the result must know, such as damage.
        coverage: learns what each frame lacks and which windows are left out because of it.
        run: where the model's three parts are called; in this process unless told otherwise.

    Raises:
        MediaError: as `read_media`, when nothing can be decoded; parts that cannot are passed over with a note.
        ValueError: a model in training mode, or a plan that does not fit it.
    """
    check_model(model)
    plan.check(model.config)
    notes = [] if notes is None else notes
    with open_media(path) as file:
        reader = _Reader(model, file, plan, precision, run, coverage or Coverage(model.config, plan.start))
        for media, first, last in reader.decoded(progress, notes):
            notes.extend(note for note in media.notes if note not in notes)
            if watch:
                watch(media)
            with naming(path):
                reader.encode(media, first, last)
            yield from reader.ready(last)
            reader.report(1.0)
        reader.report = _ignore
        yield from reader.ready(None)


def _within(progress: Progress, first: int, last: int, total: int, fps: int) -> Callable[[float], None]:
    """Progress through the chunk from frame `first` to `last` of `total`, by the share of its work that is done."""
    return lambda share: progress((first + share * (last - first)) / fps, total / fps)


def _ignore(share: float) -> None:
    """Nobody asked how far the work is."""


class _Reader:
    """Decodes, encodes and asks, in order of time. All frames are counted from the clock's zero."""

    def __init__(
        self, model: Synchformer, file: OpenMedia, plan: Plan, precision: Precision, run: Run, coverage: Coverage
    ) -> None:
        self.coverage = coverage
        self.model, self.file, self.plan, self.config, self.run = model, file, plan, model.config, run
        self.precision, self.device = precision, device_of(model)
        end = int(file.info.seconds * self.config.video_fps + 1e-6)
        self.stop = end if plan.stop is None else min(end, plan.stop)
        self.store = Store()
        self.next = plan.start  # first frame of the next window
        self.report: Callable[[float], None] = _ignore  # called with the share of the chunk's work that is done

    def chunks(self) -> Iterator[tuple[int, int]]:
        """The starts of segments that each chunk holds: the first, and the one after the last."""
        length = self.plan.chunk * self.config.segment_stride
        for first in range(self.plan.start, self.stop, length):
            yield first, min(first + length, self.stop)

    def decoded(self, progress: Progress | None, notes: list[str]) -> Iterator[tuple[Media, int, int]]:
        """Every chunk that can be decoded, with its bounds; what cannot is passed over with a note.

        Raises:
            MediaError: when no chunk can be decoded, that of the first.
        """
        errors: list[MediaError] = []  # since the last chunk that was decoded
        begun = False
        for first, last in self.chunks():
            if progress:
                begin = self.plan.start
                self.report = _within(progress, first - begin, last - begin, self.stop - begin, self.config.video_fps)
            try:
                media = self.read(first, last)
            except MediaError as error:
                errors.append(error)
                hopeless = len(errors) == MAX_FAILURES
                self.coverage.add_unreadable(first, self.stop if hopeless else last)
                if hopeless:
                    break
                continue
            notes.extend(f"{error}; that part was passed over" for error in errors)
            errors, begun = [], True
            self.coverage.add(media, first, last)
            yield media, first, last
        if errors and not begun:
            raise errors[0]
        notes.extend(f"{error}; what comes before was measured" for error in errors[:1])

    def read(self, first: int, last: int) -> Media:
        """Decode the segments that begin from `first` to before `last`."""
        end = min(last + self.config.segment_frames, self.stop)
        return self.file.read_for_model(self.config, first / self.config.video_fps, end / self.config.video_fps)

    def encode(self, media: Media, first: int, last: int) -> None:
        """Encode what the windows need of the chunk's segments into the store."""
        config = self.config
        square = center_crop(media.video, config.image_size) if len(media.video) else media.video
        per_frame, length = config.samples_per_frame, config.segment_samples
        heard = (len(media.audio) - length) // per_frame + 1
        pictures = self._needed((0,), first, min(last, first + len(square) - config.segment_frames + 1))
        sounds = self._needed(self.plan.shifts, first, min(last, first + heard))
        whole = max(1, len(pictures) + len(sounds))
        size = pass_size("film segments", self.device)
        for done, places in _batches(pictures, size):
            cut = [square[place - first : place - first + config.segment_frames] for place in places]
            self._keep(self.store.video, places, encode_pictures, torch.stack(cut))
            self.report(ENCODED * done / whole)
        for done, places in _batches(sounds, size):
            begins = [(place - first) * per_frame for place in places]
            cut = [media.audio[begin : begin + length] for begin in begins]
            self._keep(self.store.audio, places, encode_sounds, torch.stack(cut))
            self.report(ENCODED * (len(pictures) + done) / whole)

    def _needed(self, shifts: tuple[int, ...], first: int, last: int) -> list[int]:
        """Frames from `first` to before `last` at which a segment of some window begins, its sound shifted."""
        span, hop = self.config.span_frames, self.plan.hop
        lowest = max(0, first - span - max(shifts) - self.plan.start) // hop
        highest = max(0, last - min(shifts) - self.plan.start) // hop
        starts = [self.plan.start + index * hop for index in range(lowest, highest + 1)]
        starts = [start for start in starts if start + span <= self.stop]
        places = {start + shift + k for start in starts for shift in shifts for k in self._offsets()}
        return sorted(place for place in places if first <= place < last)

    def _keep(
        self, kept: dict[int, Tensor], places: list[int], encode: Callable[..., Tensor], segments: Tensor
    ) -> None:
        features = self.run(encode, self.model, segments, self.precision).float()
        kept.update(zip(places, features, strict=True))

    def ready(self, encoded: int | None) -> Iterator[Window]:
        """Windows whose segments have all been encoded, when those before frame `encoded` are (None: all)."""
        span, reach = self.config.span_frames, max(0, *self.plan.shifts)
        frames = []
        while self.next + span <= self.stop and (encoded is None or self.next + span + reach <= encoded):
            frames.append(self.next)
            self.next += self.plan.hop
        yield from self._ask([frame for frame in frames if self._is_covered(frame)])
        self.store.forget(self.next, self.next + min(0, *self.plan.shifts))

    def _ask(self, frames: list[int]) -> Iterator[Window]:
        """The distributions of all pairs of window and shift whose segments are there, many pairs at a time."""
        pairs = [(frame, shift) for frame in frames for shift in self.plan.shifts if self._is_useful(frame, shift)]
        answers = []
        for done, part in _batches(pairs, pass_size("pairs", self.device)):
            answers.append(self._answer(part))
            self.report(ENCODED + (ASKED - ENCODED) * done / len(pairs))
        shares = np.concatenate(answers) if answers else np.empty((0, self.config.classes))
        for frame in dict.fromkeys(frame for frame, _ in pairs):
            mine = [index for index, pair in enumerate(pairs) if pair[0] == frame]
            begin, fps = frame / self.config.video_fps, self.config.video_fps
            shifts = np.array([pairs[index][1] for index in mine]) / fps
            yield Window(begin, begin + self.config.span_frames / fps, shifts, shares[mine])

    def _is_covered(self, frame: int) -> bool:
        """Whether picture and sound of a window, unshifted, are there; if not, it is noted as left out."""
        if self.coverage.has_evidence(frame, frame):
            return True
        self.coverage.leave_out(frame)
        return False

    def _is_useful(self, frame: int, shift: int) -> bool:
        return self._has(frame, shift) and self.coverage.has_evidence(frame, frame + shift)

    def _has(self, frame: int, shift: int) -> bool:
        offsets = self._offsets()
        return all(frame + k in self.store.video and frame + shift + k in self.store.audio for k in offsets)

    def _offsets(self) -> range:
        """Frames from a window's start to the start of each of its segments."""
        return range(0, self.config.segments * self.config.segment_stride, self.config.segment_stride)

    def _answer(self, pairs: list[tuple[int, int]]) -> Floats:
        video = torch.stack([self._segments(self.store.video, frame) for frame, _ in pairs])  # (B, S, t_v, D)
        audio = torch.stack([self._segments(self.store.audio, frame + shift) for frame, shift in pairs])
        logits = self.run(synchronize, self.model, video, audio, self.precision)
        return logits.double().softmax(dim=-1).cpu().numpy()

    def _segments(self, kept: dict[int, Tensor], frame: int) -> Tensor:
        return torch.stack([kept[frame + k] for k in self._offsets()])


Item = TypeVar("Item")


def _batches(items: Sequence[Item], size: int) -> Iterator[tuple[int, list[Item]]]:
    """Parts of `size`, each with the number of items up to its end."""
    for first in range(0, len(items), size):
        part = list(items[first : first + size])
        yield first + len(part), part
