"""Stage II: the synchronization module learns the offset class from frozen features (section 3.2, equation 3).

Shape legend: B crops, S segments, t tokens per segment, D encoder width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.synchronizer import SynchronizationModule
from training.baselines.modules import BaselineModule
from training.evaluation.metrics import accuracy
from training.readers.base import CropReader, read_readable
from training.readers.pixel_reader import model_frames
from training.runtime.batches import Batch, prefetched
from training.sampling.clips import Clips
from training.sampling.crops import CropPlace, draw_offset, draw_sound
from training.sampling.event_targets import TIME_BINS, time_bins
from training.sampling.revoicing import draw_revoiced
from training.sampling.token_replacement import replace_moments
from training.stages.input_preview import input_picture
from training.stages.lag_head import LagHead
from training.stages.shared_pictures import read_sounds
from training.stages.uncompiled_spectrograms import spectrograms

RARE = -3.3  # log odds of an event in a bin, to start with
WHEN_WEIGHT = 5.0  # of the time head's loss beside the offset's
SHARED_EVENT_RATE = 0.85  # share of crops that must hold an event seen and heard; the others teach doubt
VALIDATION_CROPS, VALIDATION_BATCH = 512, 64


class Extractors(nn.Module):
    """Both encoders, where features are not read from a cache; `trained` is False for frozen ones (table 2)."""

    def __init__(self, config: SynchformerConfig, video: nn.Module, audio: nn.Module, trained: bool) -> None:
        super().__init__()
        self.config, self.trained = config, trained
        self.video_encoder, self.audio_encoder = video, audio
        for parameter in self.parameters():
            parameter.requires_grad_(trained)

    def train(self, mode: bool = True) -> Extractors:
        """Frozen extractors stay in evaluation mode, as published."""
        return super().train(mode and self.trained)

    def forward(self, frames: Tensor, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Segments (B, S, F, 3, H, W), uint8 or normalized, and samples (B, S, n) to features (B, S, t_v, D) and
        (B, S, t_a, D).
        """
        with torch.set_grad_enabled(self.trained and torch.is_grad_enabled()):
            video = self.video_encoder(model_frames(frames.flatten(0, 1)))
            audio = self.audio_encoder(spectrograms(waves.flatten(0, 1), self.config))
        return video.unflatten(0, frames.shape[:2]), audio.unflatten(0, waves.shape[:2])


class Stage2(nn.Module):
    """The synchronization module, with extractors where features are not cached.

    Two heads can help in training; a model has neither. On generated clips, one asks the class token when events
    happen. The paper has no such head. It shortens the plateau at chance: knowing when things happen in each stream is
    the step before comparing them. With `lag_weight`, another one compares tokens by their lags alone
    (`training.stages.lag_head`).
    """

    def __init__(
        self,
        synchronizer: SynchronizationModule | BaselineModule,
        config: SynchformerConfig,
        extractors: Extractors | None = None,
        timed: bool = False,
        lag_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.synchronizer: Any = synchronizer
        self.extractors = extractors
        self.time_head = nn.Linear(config.sync_dim, 2 * TIME_BINS) if timed else None
        if self.time_head is not None:
            nn.init.constant_(self.time_head.bias, RARE)
        self.lag_weight = lag_weight
        self.lag_head = LagHead(config) if lag_weight else None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of "target", and what the heads for training alone lose where there are some."""
        features = self.features(batch)
        tokens = self.synchronizer.encode(*features)
        logits = self.synchronizer.head(tokens).float()
        loss = F.cross_entropy(logits, batch["target"])
        figures = {"cross_entropy": loss.detach(), **accuracy(logits.detach(), batch["target"])}
        if self.time_head is not None:
            when = known_binary_cross_entropy(self.time_head(tokens).float(), batch["when"])
            loss, figures["when"] = loss + WHEN_WEIGHT * when, when.detach()
        if self.lag_head is not None:
            lags = F.cross_entropy(self.lag_head(*features), batch["target"])
            loss, figures["lags"] = loss + self.lag_weight * lags, lags.detach()
        return {"loss": loss, **figures}

    def features(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features of a batch, read or computed; a picture's are repeated for each of its sounds."""
        if "video" in batch:
            return batch["video"], batch["audio"]
        if self.extractors is None:
            raise ValueError("pixels cannot be read without extractors")
        video, audio = self.extractors(batch["frames"], batch["waves"])
        return video.repeat_interleave(len(audio) // len(video), dim=0), audio

    def logits(self, batch: Batch) -> Tensor:
        """Logits (B, classes) of a batch."""
        result: Tensor = self.synchronizer(*self.features(batch)).float()
        return result


class CropTask(ABC):
    """A stage that classifies random crops: `batch` crops a micro-batch, drawn and measured by the two subclasses."""

    name: str
    headline: str
    course: str
    partial = False

    def __init__(
        self,
        config: SynchformerConfig,
        stage: Stage2,
        clips: CropReader,
        held_out: CropReader,
        batch: int,
        replace: float = 0.0,
        *,
        valid_crops: int = VALIDATION_CROPS,
        loaders: int = 0,
    ) -> None:
        self.config, self.stage, self.clips, self.held_out, self.size = config, stage, clips, held_out, batch
        self.replace, self.valid_crops, self.loaders = replace, valid_crops, loaders
        self.chance = config.chance_loss

    @property
    def module(self) -> Stage2:
        """Synchronization module, with extractors and time head where there are."""
        return self.stage

    @abstractmethod
    def draw(self, clips: CropReader, rng: np.random.Generator) -> CropPlace:
        """A crop to train on."""

    @abstractmethod
    def validation_crop(self, rng: np.random.Generator) -> CropPlace:
        """A held-out crop."""

    @abstractmethod
    def figures_of_merit(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        """Figures of merit of logits (N, classes)."""

    def batch(self, rng: np.random.Generator) -> Batch:
        """Crops with their classes; with "when" (B, 2 * TIME_BINS) where there is a time head."""
        crops, batch = self.read(rng)
        scenes = self.clips.scenes
        if self.stage.time_head is not None:
            batch["when"] = event_times(self.clips, crops, self.config)
        if self.replace and "video" in batch and scenes is not None:
            batch = replace_moments(batch, crops, scenes, self.config, rng, self.replace)
        return batch

    def read(self, rng: np.random.Generator) -> tuple[list[CropPlace], Batch]:
        """The crops of a micro-batch, and what is read of them."""
        return read_drawn(self.clips, lambda: self.draw(self.clips, rng), self.size, self.config, rng)

    def ready(self, batch: Batch) -> Batch:
        """Pictures are changed where the model is; features come as they are."""
        return self.clips.ready(batch)

    def validate(self) -> dict[str, float]:
        """Figures on the same held-out crops every time."""
        device = next(self.stage.parameters()).device
        logits, targets = list[Tensor](), list[Tensor]()
        parts = range(-(-self.valid_crops // self._together))
        for batch in prefetched(self._held_out_batch, parts, self.loaders):
            targets.append(batch["target"])
            logits.append(self.stage.logits({name: value.to(device) for name, value in batch.items()}).cpu())
        answers, truth = torch.cat(logits), torch.cat(targets)
        return {"loss": float(F.cross_entropy(answers, truth)), **self.figures_of_merit(answers, truth)}

    @property
    def _together(self) -> int:
        """Held-out crops per forward pass: pixels take as much room as in training."""
        return min(self.valid_crops, VALIDATION_BATCH if self.stage.extractors is None else self.size)

    def _held_out_batch(self, index: int) -> Batch:
        rng = np.random.Generator(np.random.PCG64([3, index]))
        count = min(self._together, self.valid_crops - index * self._together)
        _, batch = read_drawn(self.held_out, lambda: self.validation_crop(rng), count, self.config)
        return batch

    def pictures(self) -> dict[str, Tensor]:
        """What a training crop was made of: frames and spectrogram of each segment."""
        rng, clips = np.random.Generator(np.random.PCG64(4)), self.clips

        def draw() -> CropPlace:
            return self.draw(clips, rng)

        preview = read_readable([draw()], lambda _: draw(), lambda crops: clips.preview(crops[0], self.config, rng))
        return {"fed": input_picture(preview["frames"][0], preview["waves"][0], self.config)}


class SyncTask(CropTask):
    """Cross-entropy over offset classes (section 3.2), plus the training-only time head where the stage has one."""

    name = "sync"
    headline = "acc1"
    course = (
        "it stays there until the module finds out what to compare (the paper's runs for thousands of steps, mini's "
        "for a few hundred) and then falls quickly"
    )

    def __init__(self, *arguments: Any, revoice: float = 0.0, sounds: int = 1, **named: Any) -> None:
        """As every `CropTask`.

        Args:
            *arguments, **named: of a `CropTask`.
            revoice: share of the crops that have another clip's sound (`training.sampling.revoicing`).
            sounds: crops to a picture (`training.stages.shared_pictures`), where pictures are encoded.
        """
        super().__init__(*arguments, **named)
        self.revoice, self.sounds = revoice, sounds

    def read(self, rng: np.random.Generator) -> tuple[list[CropPlace], Batch]:
        """The crops of a micro-batch, and what is read of them; every picture has several sounds where asked for."""
        if self.sounds == 1 or self.clips.is_encoded:
            return super().read(rng)
        clips, config = self.clips, self.config

        def again(crop: CropPlace) -> CropPlace:
            return draw_sound(clips, config, rng, crop, rng.random() < SHARED_EVENT_RATE)

        return read_sounds(clips, lambda: self.draw(clips, rng), again, self.size, self.sounds, config, rng)

    def draw(self, clips: CropReader, rng: np.random.Generator) -> CropPlace:
        """A uniform offset; most crops hold an event seen and heard where that is known."""
        if self.revoice and clips.scenes is not None and rng.random() < self.revoice:
            return draw_revoiced(clips, clips.scenes, self.config, rng)
        return draw_offset(clips, self.config, rng, True if rng.random() < SHARED_EVENT_RATE else None)

    def validation_crop(self, rng: np.random.Generator) -> CropPlace:
        """One that holds an event seen and heard where that is known."""
        return draw_offset(self.held_out, self.config, rng, True)

    def figures_of_merit(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        """Acc@1, and within one class."""
        return {name: float(value) for name, value in accuracy(logits, targets).items()}


def read_drawn(
    clips: CropReader,
    draw: Callable[[], CropPlace],
    count: int,
    config: SynchformerConfig,
    rng: np.random.Generator | None = None,
) -> tuple[list[CropPlace], Batch]:
    """`count` crops and what is read of them, with "target"; another one is drawn for a crop that cannot be read.

    Raises:
        CropError: when that happens time and again.
    """
    crops = [draw() for _ in range(count)]
    batch = read_readable(crops, lambda _: draw(), lambda wanted: clips.read(wanted, config, rng))
    return crops, {**batch, "target": torch.tensor([crop.target for crop in crops])}


def known_binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of logits (B, n) over the targets that are known, which NaN is not; 0 where none is."""
    known = ~targets.isnan()
    each = F.binary_cross_entropy_with_logits(logits, targets.nan_to_num(), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def stage2(
    config: SynchformerConfig, extractors: Extractors | None = None, timed: bool = False, lag_weight: float = 0.0
) -> Stage2:
    """A stage II with a new synchronization module."""
    return Stage2(SynchronizationModule(config), config, extractors, timed, lag_weight)


def event_times(clips: Clips, crops: list[CropPlace], config: SynchformerConfig) -> Tensor:
    """Whether an event is seen, then heard, in each bin of the crops: (B, 2 * TIME_BINS); NaN where nobody knows it."""
    span, fps, times = config.span_frames / config.video_fps, config.video_fps, []
    for crop in crops:
        picture, sound = clips.scene(crop.clip), clips.scene(crop.sound_clip)
        if picture is None or sound is None:
            times.append(np.full(2 * TIME_BINS, np.nan, np.float32))
            continue
        seen = [event for event in picture.events if event.seen]
        heard = [event for event in sound.events if event.heard]
        bins = time_bins(seen, crop.start / fps, span, TIME_BINS), time_bins(heard, crop.sound / fps, span, TIME_BINS)
        times.append(np.concatenate(bins).astype(np.float32))
    return torch.from_numpy(np.stack(times))
