"""Look at what training sees: a clip's picture and sound, as they are and under every augmentation.

python -m training.inspect synthetic:0 --out augmentations.png
python -m training.inspect folder:videos --clip 12 --start 1.5 --preset base --out augmentations.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from synchformer.cli.terminal import command
from synchformer.config import PRESETS, SynchformerConfig
from synchformer.media.preprocess import mel_spectrogram
from synchformer.media.probe import MediaError
from training.augmentation.published import Augmentation, crop, picture_changes, seeded, sound_effects
from training.config.command_options import add_annotations, add_seed, add_split
from training.datasets.registry import SourceOptions, open_source

EVERY = 4  # frames between those shown
AS_IS = Augmentation(random_crop=False, flip=0.0, jitter=0.0)
SHOWN_JITTER = 0.05  # s, the largest


@dataclass(frozen=True)
class Segment:
    """One segment before anything was done: frames uint8 (F, 3, H, W), the sound around it, and its first sample."""

    frames: Tensor
    sound: Tensor
    first: int
    config: SynchformerConfig

    def wave(self, later: int = 0) -> Tensor:
        """The segment's samples (n,), taken `later` samples later."""
        return self.sound[self.first + later : self.first + later + self.config.segment_samples]


def pictures_of(segment: Segment, seed: int) -> dict[str, Tensor]:
    """The segment's frames (F, 3, h, w) under every change of the picture, each by itself, with certainty."""
    size = segment.config.image_size
    random = replace(AS_IS, random_crop=True)
    crops = {
        "center crop (as it is)": AS_IS,
        "random crop": random,
        "smaller crop, enlarged": replace(random, upscale=1.0),
    }
    changes = {
        "mirrored": replace(AS_IS, flip=1.0),
        "color": replace(AS_IS, color=1.0),
        "grayscale": replace(AS_IS, grayscale=1.0),
        "blur (not published)": replace(AS_IS, blur=1.0),
    }
    pictures: dict[str, Tensor] = {}
    for index, (name, settings) in enumerate({**crops, **changes}.items()):
        with seeded(np.random.default_rng([seed, index])):
            pictures[name] = picture_changes(settings)(crop(segment.frames, size, settings))
    return pictures


def sounds_of(segment: Segment, seed: int) -> dict[str, Tensor]:
    """The segment's samples (n,) as they are, 0.05 s later, and under every effect by itself."""
    config = segment.config
    sounds = {
        "as it is": segment.wave(),
        "jitter: 0.05 s later": segment.wave(round(SHOWN_JITTER * config.sample_rate)),
    }
    for index, (name, effect) in enumerate(sound_effects(config.sample_rate).items()):
        with seeded(np.random.default_rng([seed, index])):
            sounds[name] = effect(segment.wave())
    return sounds


def figure_of(segment: Segment, title: str, seed: int = 0) -> Figure:
    """A row of frames for every change of the picture, and a spectrogram for every change of the sound."""
    pictures, sounds = pictures_of(segment, seed), sounds_of(segment, seed)
    rows = max(len(pictures), len(sounds))
    figure = Figure(figsize=(13, 1.55 * rows + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=12)
    halves = figure.add_gridspec(1, 2, width_ratios=(1, 1))
    _rows(figure.add_subfigure(halves[0]), rows, pictures, _show_frames)
    _rows(figure.add_subfigure(halves[1]), rows, sounds, lambda axes, wave: _show_sound(axes, wave, segment))
    return figure


def _rows(figure: SubFigure, rows: int, items: dict[str, Tensor], show: Callable[..., None]) -> None:
    grid = figure.subplots(rows, 1, squeeze=False)[:, 0]
    for axes in grid[len(items) :]:
        axes.set_axis_off()
    for axes, (name, item) in zip(grid, items.items(), strict=False):
        axes.set_title(name, fontsize=9, loc="left", pad=2)
        show(axes, item)


def _show_frames(axes: Axes, frames: Tensor) -> None:
    strip = torch.cat(list(frames[::EVERY]), dim=-1).permute(1, 2, 0).numpy()
    axes.imshow(strip)
    axes.set_anchor("W")
    axes.set_axis_off()


def _show_sound(axes: Axes, wave: Tensor, segment: Segment) -> None:
    config = segment.config
    mel = mel_spectrogram(wave, config)[:, :-1].numpy()  # without the padding column
    extent = (0.0, config.segment_seconds, 0, config.mel_bins)
    axes.imshow(mel, origin="lower", aspect="auto", extent=extent, vmin=-1.1, vmax=1.0, cmap="magma")
    axes.tick_params(labelsize=7)
    axes.set_ylabel("mel band", fontsize=7)
    axes.set_xlabel("s", fontsize=7, labelpad=0)


@command
def main(argv: list[str] | None = None) -> int:
    """Write the picture; exit status 1 when the clip cannot be read, 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m training.inspect", description=__doc__.splitlines()[0])
    parser.add_argument("source", help="such as synthetic:0 or folder:DIR")
    add_annotations(parser)
    add_split(parser, default="train")
    parser.add_argument("--clip", type=int, default=0, help="number of the clip in its split (default 0)")
    parser.add_argument("--start", type=float, help="first second of the segment (default: its loudest moment)")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="base", help="sizes of the model (default base)")
    add_seed(parser, "the changes", 0)
    parser.add_argument("--out", type=Path, required=True, help="the picture, PNG, SVG or PDF")
    arguments = parser.parse_args(argv)
    try:
        source = open_source(arguments.source, SourceOptions(annotations=arguments.annotations))
        samples = source.samples(arguments.split)
        if not 0 <= arguments.clip < len(samples):
            parser.error(f"--clip must be below {len(samples)}, the number of {arguments.split} clips")
        sample = samples[arguments.clip]
        config = PRESETS[arguments.preset]
        media = source.read(sample, config)
    except MediaError as error:
        print(error, file=sys.stderr)
        return 1
    except ValueError as error:
        parser.error(str(error))
    frame = _first_frame(media.audio, len(media.video), arguments.start, config)
    frames = media.video[frame : frame + config.segment_frames]
    segment = Segment(frames, media.audio, frame * config.samples_per_frame, config)
    title = f"{sample.id}, {frame / config.video_fps:.2f} s: one segment of {config.segment_seconds:g} s"
    figure_of(segment, title, arguments.seed).savefig(arguments.out, dpi=110)
    print(arguments.out)
    return 0


def _first_frame(sound: Tensor, frames: int, start: float | None, config: SynchformerConfig) -> int:
    """The frame at `start`, or the one a quarter of a segment before the loudest moment; jitter must find room."""
    last = frames - config.segment_frames - round(2 * SHOWN_JITTER * config.video_fps)
    if start is None:
        frame = int(sound.abs().argmax()) // config.samples_per_frame - config.segment_frames // 4
    else:
        frame = round(start * config.video_fps)
    return min(max(frame, 0), max(last, 0))


if __name__ == "__main__":
    sys.exit(main())
