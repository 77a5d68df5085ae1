"""Frames of an interval at an even rate: each output frame is the last input frame whose time has come.

Shape legend: T frames, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from torch import Tensor

from synchformer.media.clock import Clock, Decoding, place_of
from synchformer.media.container import tick


def read_frames(
    container: InputContainer,
    stream: av.VideoStream,
    clock: Clock,
    first: int,
    last: int,
    fps: int,
    short_side: int | None,
) -> tuple[Tensor, int, int]:
    """Frames `first` to `last` of the output clock, fewer when the stream ends early.

    Returns:
        uint8 (T, 3, H, W); how many of the first frames are before the stream's first picture, which stands for them;
        and how many packets were broken.
    """
    frames: list[NDArray[np.uint8]] = []
    early, shape = 0, None
    decoding = Decoding(container, stream, clock)
    for (frame, slot), (_, following) in pairwise(_frames_from(decoding, clock, first, fps)):
        count = min(following, last) - first - len(frames)  # none when the next frame takes the same place
        if count > 0 and frame is not None:
            if not frames:
                early = min(max(0, slot - first), count)
            picture = _pixels(frame, short_side, shape)
            shape = picture.shape[:2]
            frames.extend([picture] * count)
        if following >= last:
            break
    if not frames:
        return torch.empty(0, 3, 1, 1, dtype=torch.uint8), 0, decoding.broken
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous(), early, decoding.broken


def _frames_from(decoding: Decoding, clock: Clock, first: int, fps: int) -> Iterator[tuple[av.VideoFrame | None, int]]:
    """Frames and their places on the output clock, from the one shown at `first` on; (None, end) closes the stream."""
    shown: tuple[av.VideoFrame, int] | None = None
    for frame in decoding.frames_from(first / fps):
        slot = _slot(frame, 0, clock, fps)
        if shown is not None and (slot > first or shown[1] > first):
            yield shown
        shown = (frame, slot)
    if shown is not None:
        frame, slot = shown
        yield frame, slot
        yield None, max(slot + 1, _slot(frame, frame.duration or 0, clock, fps))


def _slot(frame: av.VideoFrame, later: int, clock: Clock, fps: int) -> int:
    """The output frame nearest to a frame's time, or to `later` ticks after it; halves up."""
    return math.floor((place_of(frame, clock) + later * tick(frame)) * fps + Fraction(1, 2))


def _pixels(frame: av.VideoFrame, short_side: int | None, shape: tuple[int, int] | None) -> NDArray[np.uint8]:
    """RGB (H, W, 3), turned as the file's display matrix says; `shape` is that of the frames before, if any."""
    width, height, way = frame.width, frame.height, None
    if short_side and min(width, height) != short_side:
        scale = short_side / min(width, height)
        width, height, way = round(width * scale), round(height * scale), Interpolation.BICUBIC
    turns = round(frame.rotation / 90) if frame.rotation else 0
    if shape is not None:  # a picture that changes its size on the way keeps the first one's
        wanted = shape[::-1] if turns % 2 == 0 else shape
        if (width, height) != wanted:
            (width, height), way = wanted, Interpolation.BICUBIC
    picture = frame.reformat(width, height, "rgb24", interpolation=way).to_ndarray().astype(np.uint8, copy=False)
    return np.rot90(picture, turns) if turns else picture
