"""How alike segments look and sound to the encoders: cosines of segment embeddings (equation 4 without training it)."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from synchformer.inference.prediction import Encoding
from synchformer.stats.intervals import Array


@torch.inference_mode()
def segment_similarity(encoding: Encoding) -> Array:
    """Cosine of every video segment's mean feature with every audio segment's: (S, S), video in rows.

    Stage I pulled the diagonal up in clips that are in sync, so that an offset shows as a band beside it.
    """
    video, audio = (
        normalize(part[0].float().mean(1), dim=-1) for part in (encoding.video_features, encoding.audio_features)
    )
    similarity: Array = (video @ audio.T).double().cpu().numpy()
    return similarity
