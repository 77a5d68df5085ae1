"""Every size of a Synchformer, in one frozen object.

Times are in seconds, frames are counted at `video_fps`, samples at `sample_rate`. A derived size is a property,
so that no number stands in two places: 198 tokens is 1 + 14 * 8 + 1 + 14 * 6, not a literal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

Head = Literal["offset", "synchronizability"]
Extractors = Literal["transformers", "resnet-s3d"]
Precision = Literal["auto", "fp32", "bf16"]  # of running a model: auto is bf16 on CUDA and fp32 elsewhere

HOP_SECONDS = 0.01  # spectrogram hop: one column every 10 ms (paper, appendix A)
WINDOW_SECONDS = 0.025  # analysis window of 25 ms (paper, appendix A)

RESNET_STRIDE = 32  # columns between features of ResNet-18, which halves both axes five times; the first is at column 0
S3D_STRIDE, S3D_MIDDLE = 8, 2.5  # frames between features of S3D, and the middle of the first (its padding is even)
S3D_MIN_SIZES = 32, 8  # pixels and frames that its five and three halvings need


@dataclass(frozen=True)
class SynchformerConfig:
    """Sizes of the model and of its input. The defaults are the paper's model (appendix A).

    Raises:
        ValueError: when sizes do not fit together (patches that do not tile a frame, heads that do not divide a
            width, segments longer than the crop).
    """

    name: str = "base"
    head: Head = "offset"

    # Input: a crop of the clip, cut into segments that overlap by half (section 3.2).
    video_fps: int = 25
    sample_rate: int = 16_000
    short_side: int = 256  # pixels: frames are scaled so that their short side has this length ...
    image_size: int = 224  # pixels: ... and a center square of this size is cut out
    crop_frames: int = 125  # 5 s, of which the segments cover the middle
    segments: int = 14
    segment_frames: int = 16  # 0.64 s
    segment_stride: int = 8  # frames between segment starts; equal to segment_frames means no overlap

    # Spectrogram of one segment: 128 mel bands, 65 columns and one of padding.
    mel_bins: int = 128
    mel_frames: int = 66

    # Encoders: Motionformer with divided attention for frames, AST for spectrograms (equation 1).
    dim: int = 768
    heads: int = 12
    mlp_ratio: int = 4
    patch_size: int = 16
    tubelet_frames: int = 2
    video_depth: int = 12
    audio_depth: int = 12
    audio_patch: int = 16
    audio_stride: int = 10

    # Synchronization module (equation 3).
    sync_dim: int = 768
    sync_depth: int = 3
    sync_heads: int = 8
    max_offset: float = 2.0  # seconds, on either side
    offset_classes: int = 21

    # Table 4: ResNet-18 and S3D in place of AST and Motionformer, at a share of their published widths. They are not
    # shown, for rendered clips are told apart by what is shown here and do not depend on what will look at them.
    extractors: Extractors = field(default="transformers", repr=False)
    extractor_width: float = field(default=1.0, repr=False)

    def __post_init__(self) -> None:
        checks = {
            f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}": self.image_size
            % self.patch_size
            == 0,
            f"segment_frames {self.segment_frames} is not a multiple of tubelet_frames {self.tubelet_frames}": (
                self.segment_frames % self.tubelet_frames == 0
            ),
            f"dim {self.dim} is not a multiple of heads {self.heads}": self.dim % self.heads == 0,
            f"sync_dim {self.sync_dim} is not a multiple of sync_heads {self.sync_heads}": self.sync_dim
            % self.sync_heads
            == 0,
            f"short_side {self.short_side} is smaller than image_size {self.image_size}": self.short_side
            >= self.image_size,
            f"{self.segments} segments span {self.span_frames} frames, more than crop_frames {self.crop_frames}": (
                self.span_frames <= self.crop_frames
            ),
            f"head must be 'offset' or 'synchronizability', not {self.head!r}": self.head
            in ("offset", "synchronizability"),
            f"sample_rate {self.sample_rate} is not a multiple of video_fps {self.video_fps}": self.sample_rate
            % self.video_fps
            == 0,
        }
        if self.extractors != "transformers":
            checks |= self._convolutional_checks
        broken = [message for message, holds in checks.items() if not holds]
        if broken:
            raise ValueError("; ".join(broken))

    @property
    def _convolutional_checks(self) -> dict[str, bool]:
        pixels, frames = S3D_MIN_SIZES
        return {
            f"extractors must be 'transformers' or 'resnet-s3d', not {self.extractors!r}": self.extractors
            == "resnet-s3d",
            f"extractor_width must be above 0, not {self.extractor_width}": self.extractor_width > 0,
            f"image_size {self.image_size} is below the {pixels} pixels that S3D needs": self.image_size >= pixels,
            f"segment_frames {self.segment_frames} is below the {frames} frames that S3D needs": self.segment_frames
            >= frames,
        }

    # Time
    @property
    def samples_per_frame(self) -> int:
        """Audio samples in the time of one frame: 640."""
        return self.sample_rate // self.video_fps

    @property
    def hop_length(self) -> int:
        """Samples between spectrogram columns: 160."""
        return round(HOP_SECONDS * self.sample_rate)

    @property
    def window_length(self) -> int:
        """Samples in one analysis window: 400."""
        return round(WINDOW_SECONDS * self.sample_rate)

    @property
    def segment_samples(self) -> int:
        """Audio samples in one segment: 10,240."""
        return self.segment_frames * self.samples_per_frame

    @property
    def segment_seconds(self) -> float:
        """Length of one segment: 0.64 s."""
        return self.segment_frames / self.video_fps

    @property
    def crop_samples(self) -> int:
        """Audio samples in the crop: 80,000."""
        return self.crop_frames * self.samples_per_frame

    @property
    def crop_seconds(self) -> float:
        """Length of the crop: 5 s."""
        return self.crop_frames / self.video_fps

    @property
    def span_frames(self) -> int:
        """Frames from the first segment's start to the last one's end: 120."""
        return (self.segments - 1) * self.segment_stride + self.segment_frames

    @property
    def segment_starts(self) -> tuple[int, ...]:
        """First frame of each segment inside the crop; the segments sit in its middle: 2, 10, ..., 106."""
        first = (self.crop_frames - self.span_frames) // 2
        return tuple(first + index * self.segment_stride for index in range(self.segments))

    # Tokens
    @property
    def patches_per_frame(self) -> int:
        """Spatial patches: 14 * 14 = 196."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def video_steps(self) -> int:
        """Video features of one segment: 8, each of two frames (80 ms); S3D's are 2."""
        if self.extractors == "resnet-s3d":
            return math.ceil(self.segment_frames / 4) // 2
        return self.segment_frames // self.tubelet_frames

    @property
    def audio_steps(self) -> int:
        """Audio features of one segment: 6, one every 0.1 s; ResNet-18's are 3."""
        if self.extractors == "resnet-s3d":
            return math.ceil(self.mel_frames / RESNET_STRIDE)
        return (self.mel_frames - self.audio_patch) // self.audio_stride + 1

    @property
    def audio_bands(self) -> int:
        """Spectrogram patches along frequency: 12."""
        return (self.mel_bins - self.audio_patch) // self.audio_stride + 1

    @property
    def video_centers(self) -> tuple[float, ...]:
        """Middle of each video feature in seconds from its segment's start: 0.04, 0.12, ..., 0.60."""
        if self.extractors == "resnet-s3d":
            middles = [index * S3D_STRIDE + S3D_MIDDLE for index in range(self.video_steps)]
        else:
            middles = [(index + 0.5) * self.tubelet_frames for index in range(self.video_steps)]
        return tuple(middle / self.video_fps for middle in middles)

    @property
    def audio_centers(self) -> tuple[float, ...]:
        """Middle of each audio feature in seconds from its segment's start: 0.075, 0.175, ..., 0.575.

        A feature sees `audio_patch` spectrogram columns from `audio_stride` times its number on, and column k is
        centerd on k hops, for the spectrogram is padded by half a window.
        """
        if self.extractors == "resnet-s3d":
            columns = [float(index * RESNET_STRIDE) for index in range(self.audio_steps)]
        else:
            columns = [index * self.audio_stride + (self.audio_patch - 1) / 2 for index in range(self.audio_steps)]
        return tuple(column * HOP_SECONDS for column in columns)

    @property
    def sequence_length(self) -> int:
        """Tokens of the synchronization module: class, video, separator, audio: 198."""
        return 1 + self.segments * self.video_steps + 1 + self.segments * self.audio_steps

    # Output
    @property
    def classes(self) -> int:
        """Outputs of the head: one per offset, or two (no, yes) for synchronizability."""
        return self.offset_classes if self.head == "offset" else 2

    @property
    def offset_step(self) -> float:
        """Seconds between neighboring offset classes: 0.2 s."""
        return 2 * self.max_offset / (self.offset_classes - 1)

    @cached_property  # training asks for it with every crop that it draws
    def grid(self) -> tuple[float, ...]:
        """Offset of each class in seconds, from -max_offset to +max_offset."""
        middle = (self.offset_classes - 1) / 2
        return tuple(round((index - middle) * self.offset_step, 6) for index in range(self.offset_classes))

    @property
    def chance_loss(self) -> float:
        """Cross-entropy of a uniform guess: ln 21 = 3.04 for offsets."""
        return math.log(self.classes)

    def offset_class(self, offset: float) -> int:
        """Index of the class nearest to `offset` seconds."""
        return min(range(self.offset_classes), key=lambda index: abs(self.grid[index] - offset))

    def with_head(self, head: Head) -> SynchformerConfig:
        """The same model with another head.

        Synchronizability (section 4.2) works on 13 segments, so that a shift by the crop's own length still fits
        into clips of 9 s; the crop then has no spare frames.
        """
        if head == self.head:
            return self
        if head == "offset":
            return replace(self, head=head, segments=self.segments + 1, crop_frames=125)
        segments = self.segments - 1
        span = (segments - 1) * self.segment_stride + self.segment_frames
        return replace(self, head=head, segments=segments, crop_frames=span)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SynchformerConfig:
        """Read a configuration that was written with `dataclasses.asdict`.

        Raises:
            ValueError: when a key is not a field of this class.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown configuration keys {', '.join(unknown)}; known keys: {', '.join(sorted(known))}")
        return cls(**values)


BASE = SynchformerConfig()
"""The published model: AST and Motionformer, 237 million parameters."""

MINI = SynchformerConfig(
    name="mini",
    short_side=110,
    image_size=96,
    dim=128,
    heads=4,
    video_depth=3,
    audio_depth=3,
    sync_dim=128,
    sync_heads=4,
)
"""The same architecture at a size that two CPU cores can train and run in seconds."""

SMALL = replace(MINI, name="small", short_side=144, image_size=128)
"""`MINI` with a picture of 128 instead of 96 px: mouths and hands are a few pixels more."""

PRESETS = {"base": BASE, "mini": MINI, "small": SMALL}
