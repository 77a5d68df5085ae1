"""From masks over units to logits, at both levels of replacement.

Shape legend: N masks, U units, T tokens, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from attribution.masking.units import Unit, moment_owners, spread, token_owners
from attribution.scoring.fast_synchronizer import FastSynchronizer, pick_dtype
from synchformer.config import Precision
from synchformer.inference.engine import require_finite, synchronize
from synchformer.inference.prediction import Encoding, encode
from synchformer.media.crop import Crop
from synchformer.modeling.synchformer import Synchformer


class Scorer(Protocol):
    """Answers for mixtures of a clip with distractors; raises NotFiniteError where an answer is NaN or infinite."""

    device: torch.device

    def __call__(self, masks: Tensor, choice: Tensor) -> Tensor:
        """Masks over units, bool (N, U), True for kept, and a distractor each, int64 (N,), to logits (N, C)."""
        ...

    def batch(self) -> int:
        """Masks per call that suit the memory."""
        ...


class TokenScorer:
    """The paper's way (section 4.1): tokens are replaced at the input of the synchronization module.

    Args:
        model: in evaluation mode.
        clip: features of the clip.
        distractors: features of each distractor.
        units: what a mask is about; tokens that none of them owns are kept.
        precision: of the synchronization module.
    """

    def __init__(
        self,
        model: Synchformer,
        clip: Encoding,
        distractors: Sequence[Encoding],
        units: Sequence[Unit],
        precision: Precision = "auto",
    ) -> None:
        self.device, self._model = clip.video_features.device, model
        self._fast = FastSynchronizer(model.synchronizer, clip, list(distractors), pick_dtype(self.device, precision))
        self._owners = token_owners(units, self._fast.length).to(self.device)

    def __call__(self, masks: Tensor, choice: Tensor) -> Tensor:
        """Logits of mixtures; see `Scorer`."""
        logits = self._fast(spread(masks.to(self.device), self._owners), choice.to(self.device))
        return require_finite(logits, self._model)

    def batch(self) -> int:
        """Masks per call that suit the memory."""
        return self._fast.batch()


class InputScorer:
    """Frames and samples are replaced before the encoders, which then see nothing of what was masked.

    At the `token` level a kept token still knows its whole segment, replaced moments included. This level has no such
    leak; every mask costs a pass through the encoders of the masked streams.

    Args:
        model: in evaluation mode.
        clip: the clip.
        encoding: its features; those of a stream that is not masked are used as they are.
        distractors: clips of the same sizes.
        units: what a mask is about.
        precision: of the whole model.
    """

    def __init__(
        self,
        model: Synchformer,
        clip: Crop,
        encoding: Encoding,
        distractors: Sequence[Crop],
        units: Sequence[Unit],
        precision: Precision = "auto",
    ) -> None:
        config = model.config
        self.device = encoding.video_features.device
        self._model, self._clip, self._distractors, self._precision = model, clip, distractors, precision
        self._unseen = None if any(unit.modality == "video" for unit in units) else encoding
        self._frames = moment_owners(units, "video", config.crop_frames, config.video_fps)
        self._samples = moment_owners(units, "audio", config.crop_samples, config.sample_rate)

    def __call__(self, masks: Tensor, choice: Tensor) -> Tensor:
        """Logits of mixtures; see `Scorer`."""
        pairs = zip(spread(masks, self._frames), spread(masks, self._samples), choice.tolist(), strict=True)
        return torch.cat([self._logits(frames, samples, self._distractors[which]) for frames, samples, which in pairs])

    def batch(self) -> int:
        """Two: a mask fills the encoders already."""
        return 2

    def _logits(self, frames: Tensor, samples: Tensor, other: Crop) -> Tensor:
        """Logits (1, C) of one mixture: kept frames, bool (T,), and kept samples, bool (n,)."""
        mixed = replace(
            self._clip,
            video=torch.where(frames[:, None, None, None], self._clip.video, other.video),
            audio=torch.where(samples, self._clip.audio, other.audio),
        )
        encoding = encode(self._model, mixed, precision=self._precision, like=self._unseen)
        return synchronize(self._model, encoding.video_features, encoding.audio_features, "fp32").float()
