"""From whole-clip features of both streams to the offset, the way of AVST and the way of SparseSync.

`avst`: all features of both streams and a class token in one transformer encoder (Chen et al. 2021, "Audio-visual
synchronisation in the wild"; [6] of the paper). `sparsesync`: trainable selectors pick from each stream first, by
cross-attention, and the encoder sees what they picked (Iashin et al. 2022, "Sparse in space and time"; [7]).

Both begin as our Synchformer's module does (`training.initialization.synchronizer`): moments on one clock, sharper
attention, no dropout.

Shape legend: B clips, t moments, n places (or bands) of a moment, q selectors, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from training.config.names import BaselineKind
from training.initialization.synchronizer import SHARPNESS, time_code

DEPTH: dict[BaselineKind, int] = {"avst": 4, "sparsesync": 3}
"""Layers: as published for SparseSync; for AVST the number that comes nearest its 32.3 million parameters (table 1)."""
SELECTORS = 16  # per stream, as published
PLACE_SPREAD = 0.02  # of the first values of the places' table
HALVED = 32  # pixels of a place and mel bins of a band: both networks halve their axes five times


class Placed(nn.Module):
    """Normalized features of one stream that know their moment and their place."""

    def __init__(self, centers: Sequence[float], places: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.moment = nn.Parameter(torch.empty(len(centers), 1, width))
        self.place = nn.Parameter(torch.randn(places, width) * PLACE_SPREAD)
        with torch.no_grad():
            self.moment[:, 0] = time_code(np.array(centers), width)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, 1, t, ..., D) of one segment, the whole clip, to tokens (B, t * n, D), moment by moment."""
        result: Tensor = (self.norm(maps[:, 0].flatten(2, -2)) + self.moment + self.place).flatten(1, 2)
        return result


class Selectors(nn.Module):
    """Trainable queries that pick features of a stream in a stack of decoder layers (SparseSync)."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(SELECTORS, config.sync_dim))
        layer = nn.TransformerDecoderLayer(**_layer(config))
        self.decoder = nn.TransformerDecoder(layer, config.sync_depth, nn.LayerNorm(config.sync_dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, t * n, D) to what was picked (B, q, D)."""
        result: Tensor = self.decoder(self.queries.expand(len(tokens), -1, -1), tokens)
        return result


class BaselineModule(nn.Module):
    """A transformer encoder over [class token, picture, separator, sound] whose class token is classified."""

    def __init__(self, config: SynchformerConfig, kind: BaselineKind) -> None:
        super().__init__()
        width, selects = config.sync_dim, kind == "sparsesync"
        self.video_input = Placed(config.video_centers, (config.image_size // HALVED) ** 2, width)
        self.audio_input = Placed(config.audio_centers, -(-config.mel_bins // HALVED), width)
        self.video_selectors = Selectors(config) if selects else nn.Identity()
        self.audio_selectors = Selectors(config) if selects else nn.Identity()
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.separator = nn.Parameter(torch.randn(1, 1, width))
        layer = nn.TransformerEncoderLayer(**_layer(config))
        self.encoder = nn.TransformerEncoder(layer, config.sync_depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, config.classes)
        self._start()

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """Maps (B, 1, t, h, w, D) and (B, 1, t, f, D) to logits (B, classes)."""
        result: Tensor = self.head(self.encode(video, audio))
        return result

    def encode(self, video: Tensor, audio: Tensor) -> Tensor:
        """The class token's output, (B, D), that the head reads."""
        seen = self.video_selectors(self.video_input(video))
        heard = self.audio_selectors(self.audio_input(audio))
        first, between = (token.expand(len(seen), -1, -1) for token in (self.class_token, self.separator))
        result: Tensor = self.encoder(torch.cat([first, seen, between, heard], dim=1))[:, 0]
        return result

    @torch.no_grad()
    def _start(self) -> None:
        """First values of its own for every layer, which torch copies from one, and sharper attention."""
        for name, parameter in self.named_parameters():
            if ".layers." in name and parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
            if name.endswith("in_proj_weight"):
                parameter[: 2 * parameter.shape[1]] *= SHARPNESS


def _layer(config: SynchformerConfig) -> dict[str, Any]:
    """What layers of both kinds are built from."""
    return {
        "d_model": config.sync_dim,
        "nhead": config.sync_heads,
        "dim_feedforward": config.mlp_ratio * config.sync_dim,
        "dropout": 0.0,
        "activation": "gelu",
        "batch_first": True,
        "norm_first": True,
    }
