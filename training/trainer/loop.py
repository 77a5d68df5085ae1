"""The training loop, the same for every stage, for one process or many.

Every micro-batch is a function of the seed, the step and its place in the step alone. So a resumed run sees the batches
that an uninterrupted one would have seen and ends with the same bits on the same machine; and two processes with a
micro-batch each take the step of one process that accumulates two.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException
from torch.amp.grad_scaler import GradScaler
from tqdm import tqdm

from training.config.optimization import PRECISION, OptimConfig
from training.runtime.batches import Batch, prefetched
from training.runtime.distributed import World
from training.trainer.checkpoint import load_state, save_state
from training.trainer.divergence import DivergedError, Watch
from training.trainer.optimizer import learning_rate, make_optimizer, set_rate
from training.trainer.run_log import RunLog
from training.trainer.task import Task
from training.trainer.weight_average import WeightAverage

STATE, BEST, FAILED = "state.pt", "best.pt", "diverged.pt"


def step_generator(seed: int, step: int, place: int = 0) -> np.random.Generator:
    """The random numbers of one micro-batch: independent of all others."""
    return np.random.Generator(np.random.PCG64([seed, step, place]))


def micro_seed(seed: int, step: int, place: int) -> int:
    """Seed of torch's own random numbers (dropout) in one micro-batch: nothing random has to be saved."""
    return int(np.random.SeedSequence([seed, step, place]).generate_state(1)[0])


def train(
    task: Task, options: OptimConfig, out: Path, world: World | None = None, about: dict[str, Any] | None = None
) -> dict[str, float]:
    """Train a task to its last step, or until patience ends, going on from `out/state.pt` when that exists.

    Args:
        task: what to train.
        options: how.
        out: folder for states and logs.
        world: the processes that train together; this one alone when not given.
        about: what else is kept in every saved state, in plain values: what was asked for.

    Returns:
        The last validation's figures.

    Raises:
        DivergedError: when the loss or a gradient is not a finite number, or the loss runs away.
        ValueError: when the saved state cannot be read or is of another model.
    """
    return Trainer(task, options, out, world or World(), about or {}).run()


class MicroBatches:
    """The micro-batches of this process, in order: number i is micro-batch i % A of step i // A."""

    def __init__(self, draw: Callable[[np.random.Generator], Batch], options: OptimConfig, world: World) -> None:
        self.draw, self.options, self.world = draw, options, world

    def make(self, index: int) -> Batch:
        """Micro-batch `index`."""
        step, number = divmod(index, self.options.accumulate)
        return self.draw(step_generator(self.options.seed, step, self.place(number)))

    def place(self, number: int) -> int:
        """Place of this process's micro-batch `number` among those of all processes."""
        return self.world.rank * self.options.accumulate + number


class Trainer:
    """A task on its way: parameters, optimizer, and what a saved state holds."""

    def __init__(self, task: Task, options: OptimConfig, out: Path, world: World, about: dict[str, Any]) -> None:
        self.task, self.options, self.out, self.world, self.about = task, options, out, world, about
        out.mkdir(parents=True, exist_ok=True)
        self.module = task.module.to(world.device)
        self.optimizer = make_optimizer(self.module, options)
        self.scaler = GradScaler(world.device.type, enabled=options.precision == "fp16")
        self.watch = Watch()
        self.best, self.waited, self.figures = float("-inf"), 0, dict[str, float]()
        self.average = WeightAverage(self.module, options.average) if options.average else None
        self.step = self._resume()
        self.batches = MicroBatches(task.batch, options, world)
        wrapped = world.wrap(self.module, task.partial)
        self.forward: Any = torch.compile(wrapped) if options.compile else wrapped
        self.wrapped = wrapped

    def run(self) -> dict[str, float]:
        """All remaining steps; returns the last validation's figures."""
        self.log = RunLog(self.out, self.task, self.step, self.options.steps, self.world.leads)
        try:
            loader = self._loader()
            while self.step < self.options.steps and not self.stopped:
                self._advance(loader)
        finally:
            self.log.close()
        return self.figures

    @property
    def stopped(self) -> bool:
        """Whether the headline has not risen for as many validations as there is patience."""
        return bool(self.options.patience) and self.waited >= self.options.patience

    def _loader(self) -> Iterator[Batch]:
        options = self.options
        left = range(self.step * options.accumulate, options.steps * options.accumulate)
        return prefetched(self.batches.make, left, options.loaders)

    def _advance(self, loader: Any) -> None:
        options, done = self.options, self.step + 1
        figures = self._update(loader)
        self.step = done
        if self.average is not None:
            self.average.update(self.module, done)
        self.log.step(figures)
        if done % options.log_every == 0:
            self.log.row(done, "", figures)
        if done % options.valid_every == 0 or done == options.steps:
            with nullcontext() if self.average is None else self.average.in_place_of(self.module):
                self._validate()
        if done % options.save_every == 0 or done == options.steps or self.stopped:
            self._save(STATE)

    def _update(self, loader: Any) -> dict[str, float]:
        """One optimizer step; returns figures, averaged over micro-batches and processes."""
        started, waited, worked = time.perf_counter(), 0.0, time.process_time()
        options, per_batch, finite = self.options, list[dict[str, Tensor]](), list[Tensor]()
        self.module.train()
        set_rate(self.optimizer, learning_rate(self.step, options, self.world.size))
        self.optimizer.zero_grad(set_to_none=True)
        for number in range(options.accumulate):
            asked = time.perf_counter()
            batch = self.task.ready({name: value.to(self.world.device) for name, value in next(loader).items()})
            finite.append(_share_finite(batch))
            waited += time.perf_counter() - asked
            per_batch.append(self._backward(batch, number))
        figures = self._averaged(per_batch)
        self._apply(figures["loss"], torch.stack(finite).mean())
        seconds = time.perf_counter() - started
        samples = options.batch * options.accumulate * self.world.size
        rate = learning_rate(self.step, options, self.world.size)
        times = {"seconds": seconds, "cpu_seconds": time.process_time() - worked, "data_seconds": waited}
        paces = {"samples_per_second": samples / seconds, "lr": rate}
        return {**figures, "chance": self.task.chance, **times, **paces}

    def _backward(self, batch: Batch, number: int) -> dict[str, Tensor]:
        options, device = self.options, self.world.device.type
        torch.manual_seed(micro_seed(options.seed, self.step, self.batches.place(number)))
        last = number == options.accumulate - 1
        try:
            with self._unsynchronized(last):
                with torch.autocast(device, PRECISION.get(options.precision), enabled=options.precision != "fp32"):
                    figures: dict[str, Tensor] = self.forward(batch)
                self.scaler.scale(figures["loss"] / options.accumulate).backward()
        except TorchDynamoException as error:
            if number or self.forward is self.wrapped:
                raise
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            tqdm.write(f"--compile: torch.compile does not work here ({reason}); training goes on without it")
            self.forward = self.wrapped
            self.optimizer.zero_grad(set_to_none=True)
            return self._backward(batch, number)
        return {name: value.detach() for name, value in figures.items()}

    def _unsynchronized(self, last: bool) -> AbstractContextManager[Any]:
        """Gradients travel between processes once a step, with the last micro-batch."""
        wrapped: Any = self.wrapped
        return nullcontext() if last or self.world.size == 1 else wrapped.no_sync()

    def _averaged(self, per_batch: list[dict[str, Tensor]]) -> dict[str, float]:
        """The mean of every figure over the micro-batches that have it; a loss that is no number stays one."""
        names = sorted(per_batch[0])
        values = torch.stack([torch.stack([figures[name].float() for name in names]) for figures in per_batch])
        counted = ~values.isnan()
        counted[:, names.index("loss")] = True
        sums, counts = torch.where(counted, values, 0).sum(0), counted.sum(0).float()
        sums, counts = self.world.mean(torch.stack([sums, counts]))
        means = dict(zip(names, (sums / counts).tolist(), strict=True))
        return {name: mean for name, mean in means.items() if name == "loss" or not math.isnan(mean)}

    def _apply(self, loss: float, finite: Tensor) -> None:
        """Take the step, unless its numbers are none; `finite` is the share of the inputs that are finite."""
        self.scaler.unscale_(self.optimizer)
        norm = float(nn.utils.clip_grad_norm_(self.module.parameters(), self.options.clip))
        problem = self.watch.problem(loss, norm if not self.scaler.is_enabled() else 0.0)
        if problem:
            raise DivergedError(self._lost_run(problem, bool(self.world.mean(finite) < 1)))
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _lost_run(self, problem: str, input_is_wrong: bool) -> str:
        """Save the state in which a run failed, and say why, where its states are, and what to do."""
        self._save(FAILED)
        saved = (self.out / STATE).exists()
        good = f"{self.out / STATE} holds the last good state" if saved else "no good state was saved yet"
        advice = (
            "its batch holds NaN or infinity, which no learning rate mends: look for the clip with python -m "
            "training.check --all"
            if input_is_wrong
            else f"lower --lr (now {self.options.lr}) or lengthen --warmup, and start again"
        )
        failed = f"{self.out / FAILED} holds the one in which it failed"
        return f"{self.task.name} stopped at step {self.step}: {problem}; {good} and {failed}; {advice}"

    @torch.no_grad()
    def _validate(self) -> None:
        self.module.eval()
        figures = self.world.broadcast(self.task.validate() if self.world.leads else {})
        self.figures = figures
        self.log.row(self.step, "valid/", figures)
        number = self.step // self.options.valid_every
        if self.options.images_every and number % self.options.images_every == 0 and self.world.leads:
            self.log.pictures(self.step, self.task.pictures())
        headline = figures.get(self.task.headline, 0.0)
        self.waited += 1
        if headline > self.best:
            self.best, self.waited = headline, 0
            self._save(BEST)

    def _save(self, name: str) -> None:
        if not self.world.leads:
            return
        averaged = {} if self.average is None else {"average": self.average.values}
        save_state(
            {
                **averaged,
                "model": self.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "step": self.step,
                "options": asdict(self.options),
                "about": self.about,
                "watch": asdict(self.watch),
                "best": self.best,
                "waited": self.waited,
                "figures": self.figures,
            },
            self.out / name,
        )

    def _resume(self) -> int:
        state = load_state(self.out / STATE)
        if state is None:
            return 0
        try:
            self.module.load_state_dict(state["model"])
        except RuntimeError as error:
            raise ValueError(
                f"{self.out / STATE} is of another model: {error}; choose another --out or remove it"
            ) from error
        if self.average is not None:
            self.average.load(state.get("average", state["model"]))
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.watch = Watch(**state["watch"])
        self.best, self.waited, self.figures = state["best"], state["waited"], state["figures"]
        return int(state["step"])


def _share_finite(batch: Batch) -> Tensor:
    """The share of a batch's tensors that hold neither NaN nor infinity; stays on their device."""
    parts = [torch.isfinite(value).all() for value in batch.values()]  # whole numbers always are
    return torch.stack(parts).float().mean()
