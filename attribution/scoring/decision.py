"""What counts as the same decision, and by how much the model makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attribution.settings import ReferenceRule
from synchformer.config import SynchformerConfig
from synchformer.inference.prediction import offset_in_words

TOLERANCE = 0.2  # s on either side of the reference (section 4.1)
Source = Literal["prediction", "applied", "given"]


@dataclass(frozen=True)
class Target:
    """The decision that an attribution explains.

    `classes` are the outputs that count as correct. `reference` is their offset in seconds, None for a
    synchronizability model, and `source` tells where it comes from. `predicted` is the class chosen for the whole clip.
    """

    classes: tuple[int, ...]
    reference: float | None
    source: Source
    predicted: int

    @property
    def holds_for_whole_clip(self) -> bool:
        """Whether the model makes this decision when it sees and hears everything."""
        return self.predicted in self.classes

    def correctness(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, C) to correctness, bool (N,), and margin, float32 (N,).

        The margin is the log-probability of a correct class minus that of a wrong one: the log odds of being correct.
        """
        logits = logits.float()
        right = torch.zeros(logits.shape[1], dtype=torch.bool, device=logits.device)
        right[list(self.classes)] = True
        margin = logits[:, right].logsumexp(1) - logits[:, ~right].logsumexp(1)
        return right[logits.argmax(1)], margin

    def probability(self, logits: Tensor) -> Tensor:
        """Logits (N, C) to the probability of the correct classes together, (N,)."""
        return logits.float().softmax(1)[:, list(self.classes)].sum(1)

    @property
    def decision(self) -> str:
        """The decision in a few words."""
        if self.reference is None:
            return "can be synchronized" if self.predicted == 1 else "cannot be synchronized"
        return "no offset" if abs(self.reference) < 5e-4 else f"sound {offset_in_words(self.reference)}"

    @property
    def sentence(self) -> str:
        """The decision, and where it comes from."""
        if self.reference is None:
            return f"the decision that the clip {self.decision}"
        origin = {"prediction": "the model's own prediction", "applied": "the applied offset", "given": "as given"}
        return f'the answer "{self.decision}" ({origin[self.source]}, within {TOLERANCE:g} s)'


def find_target(
    config: SynchformerConfig, logits: Tensor, applied: float, rule: ReferenceRule | float = "prediction"
) -> Target:
    """The target for a clip.

    Args:
        config: sizes of the model; its head decides what "correct" means.
        logits: of the whole clip, (C,).
        applied: seconds by which the clip's sound was moved.
        rule: as `Settings.reference`.

    Raises:
        ValueError: when no class lies within 0.2 s of the reference, or every class does.
    """
    predicted = int(logits.argmax())
    if config.head == "synchronizability":
        return Target((predicted,), None, "prediction", predicted)
    source: Source = "given"
    if rule == "prediction":
        reference, source = config.grid[predicted], "prediction"
    elif rule == "applied":
        reference, source = applied, "applied"
    else:
        reference = float(rule)
    classes = tuple(i for i, offset in enumerate(config.grid) if abs(offset - reference) <= TOLERANCE + 1e-6)
    if not classes or len(classes) == len(config.grid):
        raise ValueError(
            f"the reference offset {reference:+.2f} s is out of the model's reach: it tells offsets from "
            f"{config.grid[0]:+g} to {config.grid[-1]:+g} s; choose one of these"
        )
    return Target(classes, reference, source, predicted)
