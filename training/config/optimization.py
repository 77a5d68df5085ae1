"""How a stage is optimized: one dataclass, one line of meaning per field."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from training.config.fields import check_values

PRECISION = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""What autocast takes for it; fp32 needs none."""

Optimizer = Literal["adamw", "adam"]
Schedule = Literal["one-cycle", "cosine", "constant"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class OptimConfig:
    """Optimization of one stage. The values that a stage is trained with stand in `configs/`.

    Raises:
        ValueError: a value out of its range, an unknown choice, or a warm-up that does not fit into the steps.
    """

    steps: int = field(default=1000, metadata={"help": "optimizer steps", "min": 1})
    epochs: float = field(
        default=0.0, metadata={"help": "walks through the clips; above 0 it sets --steps and --valid-every", "min": 0}
    )
    batch: int = field(default=32, metadata={"help": "samples of a micro-batch (segments, clips or crops)", "min": 1})
    accumulate: int = field(default=1, metadata={"help": "micro-batches per process and step", "min": 1})
    optimizer: Optimizer = field(default="adamw", metadata={"help": "how gradients become steps"})
    lr: float = field(default=1e-3, metadata={"help": "highest learning rate", "above": 0})
    scale_lr: bool = field(default=False, metadata={"help": "multiply --lr by the number of processes"})
    schedule: Schedule = field(
        default="one-cycle",
        metadata={"help": "one-cycle or cosine (rise, then cosine to 0), constant (rise from 1/100, then level)"},
    )
    warmup: float = field(
        default=0.1, metadata={"help": "rise of the rate: share of the steps, or steps from 1 on", "min": 0}
    )
    beta1: float = field(default=0.9, metadata={"help": "first momentum", "min": 0, "below": 1})
    beta2: float = field(default=0.95, metadata={"help": "second momentum", "min": 0, "below": 1})
    eps: float = field(default=1e-8, metadata={"help": "what keeps the second momentum's root from 0", "min": 0})
    weight_decay: float = field(
        default=0.01, metadata={"help": "decay of matrices; vectors are never decayed", "min": 0}
    )
    average: float = field(
        default=0.0,
        metadata={
            "help": "share of a running average of weights that a step leaves; it is what is validated and exported",
            "min": 0,
            "below": 1,
        },
    )
    clip: float = field(default=1.0, metadata={"help": "largest gradient norm", "above": 0})
    seed: int = field(
        default=0, metadata={"help": "seed of the weights, and of every micro-batch with its place", "min": 0}
    )
    precision: Precision = field(default="fp32", metadata={"help": "fp32, or bf16 or fp16 for autocast"})
    compile: bool = field(default=False, metadata={"help": "compile the stage's module with torch.compile"})
    loaders: int = field(
        default=0, metadata={"help": "processes that make batches ahead; 0: the training one", "min": 0}
    )
    patience: int = field(
        default=0, metadata={"help": "validations without a better headline before it stops; 0: never", "min": 0}
    )
    log_every: int = field(default=20, metadata={"help": "steps between lines of the log", "min": 1})
    valid_every: int = field(default=200, metadata={"help": "steps between validations", "min": 1})
    save_every: int = field(default=100, metadata={"help": "steps between saved states", "min": 1})
    images_every: int = field(
        default=0, metadata={"help": "validations between pictures in TensorBoard; 0: none", "min": 0}
    )

    def __post_init__(self) -> None:
        check_values(self)
        if self.warmup_steps >= self.steps > 1 and self.schedule != "constant" and not self.epochs:
            raise ValueError(f"--warmup {self.warmup} takes all of the {self.steps} steps; make it shorter")

    @property
    def warmup_steps(self) -> int:
        """Steps in which the learning rate rises, at least one."""
        return max(1, round(self.warmup if self.warmup >= 1 else self.warmup * self.steps))

    def with_values(self, **values: Any) -> OptimConfig:
        """The same options with those of `values` that are not None."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})

    def for_clips(self, clips: int, processes: int) -> OptimConfig:
        """The same options with `steps` and `valid_every` set from `epochs`, where that is asked for."""
        if not self.epochs:
            return self
        epoch = max(1, math.ceil(clips / (self.batch * self.accumulate * processes)))
        return replace(self, steps=max(1, round(self.epochs * epoch)), valid_every=epoch)
