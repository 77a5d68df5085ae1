"""The training loop, the same for every stage.

Every batch is a function of the seed and the step alone, so a resumed run sees the batches that an uninterrupted one
would have seen, and ends with the same bits on the same machine.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.options import Options
from training.state import load_state, save_state


class Task(Protocol):
    """What a stage trains: its parameters, its loss on the batch of a step, its validation."""

    name: str
    chance: float

    @property
    def module(self) -> nn.Module:
        """All that is trained and saved."""
        ...

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss of a batch drawn from `rng`, and figures for the log."""
        ...

    def validate(self) -> dict[str, float]:
        """Figures on held-out data."""
        ...


class DivergedError(RuntimeError):
    """The loss is not a number any more; the last good state is kept."""


def step_generator(seed: int, step: int) -> np.random.Generator:
    """The random numbers of one step: independent of all earlier ones."""
    return np.random.Generator(np.random.PCG64([seed, step]))


def learning_rate(step: int, options: Options) -> float:
    """One cycle: linear rise over the warm-up, then a cosine to zero."""
    warmup = max(1, round(options.warmup * options.steps))
    if step < warmup:
        return options.lr * (step + 1) / warmup
    progress = (step - warmup) / max(1, options.steps - warmup)
    return options.lr * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(module: nn.Module, options: Options) -> torch.optim.Optimizer:
    """AdamW; vectors (norms, biases) and single numbers are not decayed, as in the published stage I."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, options.beta2))


def train(task: Task, options: Options, out: Path) -> dict[str, float]:
    """Train a task to its last step, resuming from `out/state.pt` when that exists.

    Returns:
        The last validation's figures.

    Raises:
        DivergedError: when the loss becomes infinite or not a number.
    """
    out.mkdir(parents=True, exist_ok=True)
    optimizer = make_optimizer(task.module, options)
    first = _resume(task, optimizer, out)
    figures: dict[str, float] = {}
    for step in _steps(task, first, options):
        _update(task, optimizer, options, step, out)
        done = step + 1
        if done % options.valid_every == 0 or done == options.steps:
            figures = _validate(task, out, done)
        if done % options.save_every == 0 or done == options.steps:
            _save(task, optimizer, done, out)
    return figures or _validate(task, out, options.steps)


def _steps(task: Task, first: int, options: Options) -> Iterator[int]:
    yield from tqdm(range(first, options.steps), initial=first, total=options.steps, desc=task.name, mininterval=5)


def _resume(task: Task, optimizer: torch.optim.Optimizer, out: Path) -> int:
    state = load_state(out / "state.pt")
    if state is None:
        return 0
    task.module.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _save(task: Task, optimizer: torch.optim.Optimizer, step: int, out: Path) -> None:
    state = {"model": task.module.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    save_state(state, out / "state.pt")


def _update(task: Task, optimizer: torch.optim.Optimizer, options: Options, step: int, out: Path) -> None:
    started = time.perf_counter()
    task.module.train()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, options)
    device = next(task.module.parameters()).device.type
    with torch.autocast(device, torch.bfloat16, enabled=options.precision == "bf16"):
        loss, figures = task.loss(step_generator(options.seed, step))
    if not torch.isfinite(loss):
        raise DivergedError(
            f"{task.name} diverged at step {step}: loss {loss.item()}; {out / 'state.pt'} holds the last good state; "
            f"lower --lr (now {options.lr}) and start again"
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(task.module.parameters(), options.clip)
    optimizer.step()
    if (step + 1) % options.log_every == 0:
        seconds = time.perf_counter() - started
        _log(out, {"step": step + 1, "loss": loss.item(), "chance": task.chance, "seconds": seconds, **figures})


@torch.no_grad()
def _validate(task: Task, out: Path, step: int) -> dict[str, float]:
    task.module.eval()
    figures = task.validate()
    _log(out, {"step": step, **{f"valid/{name}": value for name, value in figures.items()}})
    return figures


def _log(out: Path, row: dict[str, float]) -> None:
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps({name: round(float(value), 5) for name, value in row.items()}) + "\n")
    tqdm.write("  ".join(f"{name} {float(value):.4g}" for name, value in row.items()))
