"""Synchronizability: whether picture and sound can be matched at all (section 4.2).

The synchronization module of a trained offset model, on 13 segments and with a head of two classes, is trained further.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.modeling.synchronizer import SynchronizationModule
from synchformer.stats import roc
from training.evaluation.metrics import accuracy
from training.readers.base import CropReader
from training.sampling.crops import CropPlace, Labels, draw_synchronizability
from training.stages.offset import CropTask


class SynchronizabilityTask(CropTask):
    """Cross-entropy over (no, yes) on crops of which half can be synchronized (`crops.draw_synchronizability`)."""

    name = "synchronizability"
    headline = "auc"
    course = "a module that comes from a trained offset model leaves it within the first hundred steps"

    def __init__(self, *arguments: Any, labels: Labels = "truth", **named: Any) -> None:
        """As every `CropTask`; `labels` says what counts as synchronizable."""
        super().__init__(*arguments, **named)
        self.labels = labels

    def draw(self, clips: CropReader, rng: np.random.Generator) -> CropPlace:
        """A crop labeled as asked for."""
        return draw_synchronizability(clips, self.config, rng, self.labels)

    def validation_crop(self, rng: np.random.Generator) -> CropPlace:
        """A held-out crop, labeled likewise."""
        return draw_synchronizability(self.held_out, self.config, rng, self.labels)

    def figures_of_merit(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        """Area under the ROC curve and accuracy at one half."""
        return {
            "auc": roc.area(logits.softmax(1)[:, 1], targets),
            "acc1": float(accuracy(logits, targets)["acc1"]),
        }


@torch.no_grad()
def adapt(
    module: SynchronizationModule, config: SynchformerConfig, as_published: bool = False
) -> SynchronizationModule:
    """A synchronizability module that goes on from an offset module; only its head is new.

    Args:
        module: a trained module for offsets.
        config: its sizes, with the offset head.
        as_published: cut the position table after its first rows, as the published code does. The rows behind the
            picture's last segment then change their meaning (the separator's row becomes a picture's). Otherwise the
            last segment of each stream is cut out and all other tokens keep their positions.
    """
    target = config.with_head("synchronizability")
    adapted = SynchronizationModule(target)
    values = {name: value.clone() for name, value in module.state_dict().items() if not name.startswith("head.")}
    table = values["position"]
    values["position"] = table[:, : target.sequence_length] if as_published else _without_last_segment(table, config)
    adapted.load_state_dict({**adapted.state_dict(), **values})
    return adapted


def _without_last_segment(table: Tensor, config: SynchformerConfig) -> Tensor:
    """Positions (1, n, E) without those of the last picture segment and of the last sound segment."""
    picture = 1 + config.segments * config.video_steps
    return torch.cat([table[:, : picture - config.video_steps], table[:, picture : -config.audio_steps]], dim=1)
