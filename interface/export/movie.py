"""An MP4 of the clip with its attribution drawn below it: a cursor runs through the curves, the sound is as heard.

The picture is that of the file, with the square that the model saw outlined; the sound is that of the crop, moved by
the applied offset. The file is read a second at a time, so that memory does not depend on the size of the video.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from attribution.figures.figure_data import FigureData, make_figure_data
from attribution.figures.matplotlib_figure import THEMES, draw
from attribution.result import Attribution
from interface.export.mp4 import write_mp4
from synchformer.media.crop import Crop
from synchformer.media.decode import read_media
from synchformer.media.probe import probe

WIDTH = 960  # pixels of the movie
PANE_HEIGHT = 480  # pixels for the clip above the figure
SAMPLE_RATE = 48_000
CURSOR = 2  # pixels
DOT = 5  # pixels from the middle of the dot on a curve to its edge
SEEN = "#fb923c"  # outline of the square that the model saw

Pixels = NDArray[np.uint8]


def write_movie(
    clip: Crop,
    attribution: Attribution,
    out: Path,
    *,
    measure: str = "score",
    theme: str = "dark",
    seen: Sequence[float] = (),
    heard: Sequence[float] = (),
) -> Generator[float]:
    """Draw and encode the crop; yields the share that is done, and closing the generator leaves no file behind.

    The work is bounded by the crop (125 frames), not by the file.

    Args:
        clip: the crop that was explained; its file is read again at a larger size.
        attribution: what was found, also a partial result.
        out: the MP4 file; it appears whole when the generator is exhausted.
        measure: `score`, `effect` or `margin`.
        theme: `light` or `dark`.
        seen: seconds of the crop at which known events are seen.
        heard: seconds of the crop at which known events are heard.

    Raises:
        ValueError: for an unknown measure or theme.
        MediaError: when the clip's file cannot be read any more.
        OSError: when the movie cannot be written.
    """
    board = make_board(make_figure_data(clip, attribution, measure=measure, seen=seen, heard=heard), theme)
    frames = _frames(clip, board, THEMES[theme]["ground"])
    for count in write_mp4(out, frames, clip.config.video_fps, _sound(clip), SAMPLE_RATE):
        yield count / clip.config.crop_frames


@dataclass(frozen=True)
class Board:
    """The drawn figure, and where time stands in it.

    `pixels` uint8 (H, W, 3). The cursor runs from column `left` at time 0 to column `right` at `seconds`, over the rows
    from `top` to `bottom`. `dots` are the curves: columns (n,), rows (n,) in pixels, and a color each.
    """

    pixels: Pixels
    left: float
    right: float
    top: int
    bottom: int
    seconds: float
    ink: tuple[int, int, int]
    dots: tuple[tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, int, int]], ...]

    def at(self, time: float) -> Pixels:
        """The figure with the cursor at `time` seconds of the crop and a dot on every curve."""
        pixels = self.pixels.copy()
        middle = self.left + (self.right - self.left) * min(max(time / self.seconds, 0.0), 1.0)
        first = round(middle - CURSOR / 2)
        pixels[self.top : self.bottom, first : first + CURSOR] = self.ink
        for columns, rows, color in self.dots:
            known = np.isfinite(rows)
            if known.any():
                _dot(pixels, middle, float(np.interp(middle, columns[known], rows[known])), color)
        return pixels


def make_board(figure_data: FigureData, theme: str) -> Board:
    """Draw the figure once, as wide as the movie.

    Raises:
        ValueError: for an unknown theme.
    """
    figure = draw(figure_data, theme=theme)
    figure.set_dpi(WIDTH / figure.get_figwidth())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    buffer: Any = canvas.buffer_rgba()
    drawn: Pixels = np.asarray(buffer)[..., :3]
    height = len(drawn)
    pixels = drawn[: height // 2 * 2].copy()
    boxes = [axes.get_window_extent() for axes in figure.axes]
    dots = []
    for axes in figure.axes:
        for line, color in ((each, each.get_color()) for each in axes.lines if np.size(each.get_xdata()) > 2):
            points = axes.transData.transform(np.column_stack([line.get_xdata(), line.get_ydata()]))
            dots.append((points[:, 0], height - points[:, 1], _rgb(str(color))))
    return Board(
        pixels=pixels,
        left=boxes[0].x0,
        right=boxes[0].x1,
        top=round(height - max(box.y1 for box in boxes)),
        bottom=round(height - min(box.y0 for box in boxes)),
        seconds=figure_data.seconds,
        ink=_rgb(THEMES[theme]["ink"]),
        dots=tuple(dots),
    )


def _frames(clip: Crop, board: Board, ground: str) -> Iterator[Pixels]:
    """Whole pictures of the movie, one for every frame of the crop."""
    canvas = np.empty((PANE_HEIGHT + len(board.pixels), WIDTH, 3), np.uint8)
    canvas[:] = _rgb(ground)
    fps = clip.config.video_fps
    for index, picture in enumerate(_pictures(clip)):
        top, left = (PANE_HEIGHT - picture.shape[0]) // 2, (WIDTH - picture.shape[1]) // 2
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        canvas[PANE_HEIGHT:] = board.at((index + 0.5) / fps)
        yield canvas


def _pictures(clip: Crop) -> Iterator[Pixels]:
    """The file's own frames over the crop, fitted into the pane; the last one is held where the stream ends early."""
    config, info = clip.config, probe(clip.path)
    side = max(16, round(min(info.width, info.height) * min(WIDTH / info.width, PANE_HEIGHT / info.height)))
    shown: Pixels | None = None
    for first in range(0, config.crop_frames, config.video_fps):
        count = min(config.video_fps, config.crop_frames - first)
        begin = clip.video_start + first / config.video_fps
        pixels: list[Pixels] = []
        if begin < info.seconds:
            media = read_media(clip.path, begin, begin + count / config.video_fps, short_side=side)
            pixels = [_outlined(_fitted(frame.permute(1, 2, 0).numpy()), clip) for frame in media.video[:count]]
        for index in range(count):
            shown = pixels[index] if index < len(pixels) else shown
            if shown is not None:
                yield shown


def _fitted(picture: Pixels) -> Pixels:
    """The picture no larger than the pane; a turned phone video is only known when it is decoded."""
    height, width = picture.shape[:2]
    scale = min(WIDTH / width, PANE_HEIGHT / height, 1.0)
    if scale == 1.0:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _outlined(picture: Pixels, clip: Crop) -> Pixels:
    """A thin frame around the square in the middle that the model saw, and words that say so."""
    height, width = picture.shape[:2]
    side = round(min(height, width) * clip.config.image_size / clip.config.short_side)
    top, left = (height - side) // 2, (width - side) // 2
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    pen.rectangle((left, top, left + side - 1, top + side - 1), outline=SEEN)
    pen.text((left + 6, top + 4), "what the model saw", fill=SEEN, font=_font(), stroke_width=2, stroke_fill="#000000")
    return np.asarray(image)


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=13)


def _sound(clip: Crop) -> NDArray[np.float32]:
    """The crop's sound as it was heard, at full bandwidth; silence where the file has none."""
    seconds = clip.config.crop_seconds
    info = probe(clip.path)
    sound = torch.zeros(round(seconds * SAMPLE_RATE))
    if clip.audio_start < info.seconds:
        # Reading starts on a frame: a little more is read, and cut to the sample.
        begin = max(0.0, clip.audio_start - 1 / clip.config.video_fps)
        media = read_media(clip.path, begin, clip.audio_start + seconds, short_side=16, sample_rate=SAMPLE_RATE)
        skipped = round((clip.audio_start - media.start) * SAMPLE_RATE)
        part = media.audio[skipped : skipped + len(sound)]
        sound[: len(part)] = part
    samples: NDArray[np.float32] = sound.clamp(-1, 1).numpy()
    return samples


def _dot(pixels: Pixels, column: float, row: float, color: tuple[int, int, int]) -> None:
    """A filled circle, drawn in place."""
    height, width = pixels.shape[:2]
    rows = slice(max(0, round(row) - DOT), min(height, round(row) + DOT + 1))
    columns = slice(max(0, round(column) - DOT), min(width, round(column) + DOT + 1))
    y, x = np.ogrid[rows, columns]
    inside = (y - row) ** 2 + (x - column) ** 2 <= DOT**2
    pixels[rows, columns][inside] = color


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
