"""Which parts of a film carry no evidence: a stream has nothing there, nothing but digital silence, or is unreadable.

Counted in frames of the model's rate, one byte each, so that an hour takes 90 kB.

Shape legend: T frames, n samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synchformer.config import SynchformerConfig
from synchformer.inference.crop_checks import QUIETEST
from synchformer.media.probe import Media

MAX_MISSING = 0.2  # of a window's picture or sound: with more of it missing the window says nothing

NO_PICTURE, NO_SOUND, SILENT, UNREADABLE = 1, 2, 4, 8  # bits of a frame

Reason = Literal["no picture", "no sound", "cannot be decoded"]
Flags = NDArray[np.uint8]


@dataclass(frozen=True)
class Unmeasured:
    """A part of a film, from `start` to `stop` seconds, that no window measured, and why."""

    start: float
    stop: float
    reason: Reason

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.stop - self.start

    @property
    def sentence(self) -> str:
        """The part in words."""
        return f"not measured from {self.start:.1f} s to {self.stop:.1f} s: {self.reason}"


class Coverage:
    """What is known about every frame from `first` on, and which windows were left out because of it."""

    def __init__(self, config: SynchformerConfig, first: int) -> None:
        self._config, self._first = config, first
        self._flags: Flags = np.zeros(0, np.uint8)  # (T,)
        self._left_out: list[int] = []  # first frames of windows

    def add(self, media: Media, first: int, last: int) -> None:
        """Look at the frames from `first` to before `last` of what was decoded from frame `first` on."""
        flags, fps = self._reach(first, last), self._config.video_fps
        for gap in media.gaps:
            begin, end = round(gap.start * fps) - first, round(gap.stop * fps) - first
            flags[max(0, begin) : max(0, end)] |= NO_PICTURE if gap.stream == "picture" else NO_SOUND
        per_frame = self._config.samples_per_frame
        whole = min(last - first, len(media.audio) // per_frame)
        frames = media.audio[: whole * per_frame].view(whole, per_frame)
        flags[:whole][(frames.abs().amax(1) <= QUIETEST).numpy()] |= SILENT

    def add_unreadable(self, first: int, last: int) -> None:
        """Note that the frames from `first` to before `last` could not be decoded."""
        self._reach(first, last)[:] |= UNREADABLE

    def has_evidence(self, picture: int, sound: int) -> bool:
        """Whether a window whose picture and sound begin at these frames can say anything."""
        span = self._config.span_frames
        seen, heard = self._part(picture, picture + span), self._part(sound, sound + span)
        most = MAX_MISSING * span
        missing = max(np.count_nonzero(seen & NO_PICTURE), np.count_nonzero(heard & NO_SOUND))
        return bool(missing <= most and np.count_nonzero(heard & (SILENT | NO_SOUND)) < len(heard))

    def leave_out(self, frame: int) -> None:
        """Note that the window that begins at a frame was not measured."""
        self._left_out.append(frame)

    @property
    def unmeasured(self) -> tuple[Unmeasured, ...]:
        """The parts because of which windows were left out, in order of time."""
        span, flags = self._config.span_frames, self._flags
        least = MAX_MISSING * span
        parts: list[Unmeasured] = []
        for start, stop in _runs((flags & UNREADABLE) > 0):
            parts.append(self._as_part(start, stop, "cannot be decoded"))
        for start, stop in _runs((flags & NO_PICTURE) > 0):
            if stop - start > least and self._mattered(start, stop):
                parts.append(self._as_part(start, stop, "no picture"))
        for start, stop in _runs((flags & (NO_SOUND | SILENT)) > 0):
            long = np.count_nonzero(flags[start:stop] & NO_SOUND) > least or stop - start >= span
            if long and self._mattered(start, stop):
                parts.append(self._as_part(start, stop, "no sound"))
        return tuple(sorted(parts, key=lambda part: (part.start, part.stop)))

    def _reach(self, first: int, last: int) -> Flags:
        """The flags from `first` to before `last`, to be written to."""
        missing = last - self._first - len(self._flags)
        if missing > 0:
            self._flags = np.concatenate([self._flags, np.zeros(missing, np.uint8)])
        return self._part(first, last)

    def _part(self, first: int, last: int) -> Flags:
        return self._flags[max(0, first - self._first) : max(0, last - self._first)]

    def _mattered(self, start: int, stop: int) -> bool:
        span = self._config.span_frames
        return any(frame - self._first < stop and frame - self._first + span > start for frame in self._left_out)

    def _as_part(self, start: int, stop: int, reason: Reason) -> Unmeasured:
        fps = self._config.video_fps
        return Unmeasured((start + self._first) / fps, (stop + self._first) / fps, reason)


def _runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Starts and ends of the runs of True in (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def union_seconds(parts: tuple[Unmeasured, ...]) -> float:
    """How long parts are together; where they overlap, once."""
    total, reached = 0.0, -np.inf
    for part in sorted(parts, key=lambda each: each.start):
        total += max(0.0, part.stop - max(part.start, reached))
        reached = max(reached, part.stop)
    return float(total)
