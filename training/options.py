"""How a stage is optimised: one dataclass, one line of meaning per field."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Options:
    """Optimisation of one stage.

    Raises:
        ValueError: when a count is not positive or the warm-up does not fit into the steps.
    """

    steps: int = field(default=1000, metadata={"help": "optimiser steps"})
    batch: int = field(default=32, metadata={"help": "samples per step (segments, clips or crops: see the stage)"})
    lr: float = field(default=1e-3, metadata={"help": "highest learning rate"})
    beta2: float = field(default=0.95, metadata={"help": "second momentum of AdamW"})
    weight_decay: float = field(default=0.01, metadata={"help": "decay of matrices; vectors are never decayed"})
    warmup: float = field(default=0.1, metadata={"help": "share of the steps in which the rate rises"})
    clip: float = field(default=1.0, metadata={"help": "largest gradient norm"})
    seed: int = field(default=0, metadata={"help": "seed of the weights, and of every batch together with its step"})
    precision: str = field(default="fp32", metadata={"help": "fp32, or bf16 for autocast"})
    log_every: int = field(default=20, metadata={"help": "steps between lines of the log"})
    valid_every: int = field(default=200, metadata={"help": "steps between validations"})
    save_every: int = field(default=100, metadata={"help": "steps between saved states"})

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "log_every", "valid_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"--warmup is a share of the steps in [0, 1), not {self.warmup}")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"--precision must be fp32 or bf16, not {self.precision}")

    def with_values(self, **values: Any) -> Options:
        """The same options with those of `values` that are not None."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})


STAGE_OPTIONS = {
    # Differences from the paper are meant: its recipe (Adam at 2e-6 per GPU, AdamW at 1e-4) is for weeks of GPU time.
    "unimodal": Options(steps=1600, batch=20, lr=1.5e-3, precision="bf16"),
    "avclip": Options(steps=500, batch=2, lr=3e-4, precision="bf16", log_every=10),
    "sync": Options(steps=2500, batch=64, lr=2e-3, precision="bf16"),
}
