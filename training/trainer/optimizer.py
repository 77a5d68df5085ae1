"""The optimizer and the course of its learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from training.config.optimization import OptimConfig

FIRST_FACTOR = 0.01  # where the constant schedule's rise begins, as published for stage II


def learning_rate(step: int, options: OptimConfig, processes: int = 1) -> float:
    """The rate of a step, a function of the step alone, so that there is no scheduler's state to save.

    "one-cycle" and "cosine" rise linearly over the warm-up and fall to zero along a cosine (stage I). "constant" rises
    linearly from a hundredth of the rate and stays (stage II).
    """
    highest = options.lr * (processes if options.scale_lr else 1)
    warmup = options.warmup_steps
    if options.schedule == "constant":
        return highest * (FIRST_FACTOR + (1 - FIRST_FACTOR) * min(1.0, step / warmup))
    if step < warmup:
        return highest * (step + 1) / warmup
    progress = (step - warmup) / max(1, options.steps - warmup)
    return highest * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(module: nn.Module, options: OptimConfig) -> torch.optim.Optimizer:
    """Adam or AdamW; vectors (norms, biases) and single numbers are not decayed, as in the published stage I."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=options.lr, betas=(options.beta1, options.beta2), eps=options.eps)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of parameters the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
