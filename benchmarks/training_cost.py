"""What a training costs in operations and on disk, by arithmetic: nothing is trained and no data are needed.

python -m benchmarks.training_cost
python -m benchmarks.training_cost --preset base --clips 200000 --views 8

Operations are counted by PyTorch, a multiplication and an addition as two; a training step is taken for three forward
passes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from synchformer.config import PRESETS, SynchformerConfig
from synchformer.modeling.segment_avclip import segment_count
from synchformer.modeling.synchformer import Synchformer
from training.readers.feature_encoder import Layout

TRAINING = 3  # forward passes that a forward and a backward pass cost
HALF = 2  # bytes of a float16


@dataclass(frozen=True)
class Operations:
    """Floating-point operations of one forward pass: of each encoder for a segment, of the module for a crop."""

    video: int
    audio: int
    synchronizer: int


def operations(config: SynchformerConfig) -> Operations:
    """Count the operations of a model that has sizes but no weights."""
    with torch.device("meta"):
        model = Synchformer(config).eval()
        frames = torch.empty(1, 1, config.segment_frames, 3, config.image_size, config.image_size)
        mel = torch.empty(1, 1, config.mel_bins, config.mel_frames)
        seen = torch.empty(1, config.segments, config.video_steps, config.dim)
        heard = torch.empty(1, config.segments, config.audio_steps, config.dim)
    return Operations(
        video=_count(lambda: model.encode_video(frames)),
        audio=_count(lambda: model.encode_audio(mel)),
        synchronizer=_count(lambda: model.synchronize(seen, heard)),
    )


def table(config: SynchformerConfig, clips: int, seconds: float, views: int) -> str:
    """Cost and storage as Markdown: of one clip of `seconds`, and of `clips` of them with `views` of each picture."""
    one, layout = operations(config), Layout(config, np.array([round(seconds * config.video_fps)]), views)
    seen, heard = layout.positions(0), layout.sounds(0)
    segment, crop = one.video + one.audio, config.segments * (one.video + one.audio)
    encoded = views * seen * one.video + heard * one.audio
    features = HALF * config.dim * (views * seen * config.video_steps + heard * config.audio_steps)
    pixels = 3 * round(seconds * config.video_fps) * config.image_size**2 + round(2 * seconds * config.sample_rate)
    rows = {
        "stage I, a pass over the data": TRAINING * segment_count(config) * segment,
        "stage II, features of all clips, once": encoded,
        "stage II, a pass over the data, features cached": TRAINING * one.synchronizer,
        "stage II, a pass over the data, every crop encoded": crop + TRAINING * one.synchronizer,
        "stage II, a pass over the data, encoders trained": TRAINING * (crop + one.synchronizer),
    }
    stored = {"features of stage II, float16": features, "rendered clips (generated data only)": pixels}
    lines = [f"| | a clip of {seconds:g} s | {clips:,} clips |", "|---|---|---|"]
    lines += [f"| {name} | {_scaled(cost, 'FLOP')} | {_scaled(clips * cost, 'FLOP')} |" for name, cost in rows.items()]
    lines += [f"| {name} | {_scaled(size, 'B')} | {_scaled(clips * size, 'B')} |" for name, size in stored.items()]
    return "\n".join(lines)


def _count(work: Callable[[], Tensor]) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def _scaled(value: float, unit: str) -> str:
    """A number with three digits and the prefix of its size."""
    for prefix in ("", "k", "M", "G", "T", "P"):
        if value < 1000:
            return f"{value:.3g} {prefix}{unit}"
        value /= 1000
    return f"{value:.3g} E{unit}"


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_cost", description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="mini", help="sizes of the model")
    parser.add_argument("--clips", type=int, default=2000, help="clips to train on (default 2000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a clip (default 10)")
    parser.add_argument("--views", type=int, default=1, help="crops of the picture in cached features (default 1)")
    options = parser.parse_args(argv)
    config = PRESETS[options.preset]
    one = operations(config)
    print(
        f"{config.name}, {options.views} view{'s'[: options.views > 1]}; forward passes: "
        f"video {_scaled(one.video, 'FLOP')} and audio {_scaled(one.audio, 'FLOP')} a segment, "
        f"synchronization module {_scaled(one.synchronizer, 'FLOP')} a crop\n"
    )
    print(table(config, options.clips, options.seconds, options.views))
    return 0


if __name__ == "__main__":
    sys.exit(main())
