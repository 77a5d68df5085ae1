"""A task whose minimum is known, and a program that trains it and may kill itself in the middle.

python -m tests.support.quadratic FOLDER PLACE [two]

PLACE is "never", "step N" (before its update) or "save N" (half-way).
"""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn


class Layer(nn.Module):
    """One weight and one bias, drawn by every batch towards its random target around 3.

    Batches whose target is above 3 also train `rare`, and they alone tell how far it is off.
    """

    def __init__(self, dropout):
        super().__init__()
        self.linear, self.dropout, self.rare = nn.Linear(1, 1), nn.Dropout(dropout), nn.Parameter(torch.zeros(1))

    def forward(self, batch):
        output = self.linear(torch.ones(4, 1)) + self.dropout(torch.ones(4, 1)) - 1
        loss, rare = (output.float() - batch["target"]).square().mean(), torch.tensor(torch.nan)
        if batch["target"] > 3:
            rare = (self.rare - batch["target"]).square().mean()
            loss = loss + 0.01 * rare
        return {"loss": loss, "rare": rare.detach()}


class Quadratic:
    """The task; `poison_at` counts micro-batches, `headlines` are given out one per validation."""

    name = "quadratic"
    chance = 9.0
    course = "it falls at once"
    headline = "headline"
    partial = True

    def __init__(self, dropout=0.0, poison_at=None, headlines=()):
        self.module = Layer(dropout)
        self.poison_at, self.headlines, self.place = poison_at, iter(headlines), "never"
        self.calls = 0

    def batch(self, rng):
        self.calls += 1
        target = 3.0 + 0.1 * float(rng.standard_normal())
        return {"target": torch.tensor(float("nan") if self.calls == self.poison_at else target)}

    def ready(self, batch):
        return batch

    def validate(self):
        return {"value": float(self.module.linear(torch.ones(1, 1))), "headline": next(self.headlines, 0.0)}

    def pictures(self):
        return {}


def die():
    """As if the machine had lost its power."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(task, place):
    """Make the program kill itself at `place`."""
    from training.trainer import checkpoint

    kind, _, number = place.partition(" ")
    if kind == "step":
        task.module.linear.weight.register_hook(lambda _: die() if task.calls + task.first > int(number) else None)
    if kind == "save":
        write, count = torch.save, [0]

        def save(values, file):
            count[0] += 1
            if count[0] == int(number):
                file.write(b"half of a state")
                file.flush()
                die()
            write(values, file)

        checkpoint.torch.save = save


def main(folder, place, mode="one"):
    from training.config.optimization import OptimConfig
    from training.runtime.distributed import world
    from training.trainer.checkpoint import load_state
    from training.trainer.loop import train

    torch.manual_seed(0)
    task = Quadratic(dropout=0.5)
    if mode == "two":
        with world("cpu") as group:
            options = OptimConfig(steps=9, batch=2, lr=0.1, clip=1e6, valid_every=9, save_every=9, log_every=3)
            train(task, options, Path(folder), group)
        return
    found = load_state(Path(folder) / "state.pt")
    task.first = found["step"] if found else 0
    arm(task, place)
    train(task, OptimConfig(steps=60, batch=1, lr=0.3, valid_every=60, save_every=7, log_every=20), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
