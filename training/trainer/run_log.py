"""What a run writes down: lines of JSON, TensorBoard, and a progress bar. All of it goes on when a run is resumed."""

from __future__ import annotations

import json
import math
from pathlib import Path

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from synchformer.storage.atomic import atomic_write
from synchformer.storage.json_text import to_json
from training.trainer.task import Task

LOG = "log.jsonl"

Row = dict[str, float]


class RunLog:
    """The log of a run in `out`, cut back to what the state it goes on from has seen; silent where `writes` is False.

    A run that was killed has logged steps after its last saved state. They are made again, so their lines go.
    """

    def __init__(self, out: Path, task: Task, first: int, steps: int, writes: bool = True) -> None:
        self.path, self.writes = out / LOG, writes
        self.bar = tqdm(initial=first, total=steps, desc=task.name, mininterval=5, disable=not writes)
        if not writes:
            return
        cut_back(self.path, first)
        self.board = SummaryWriter(str(out / "tensorboard"), purge_step=first + 1)
        lines = {"loss": ["Multiline", ["train/loss", "train/chance"]]}
        self.board.add_custom_scalars({task.name: lines})
        self.board.add_text("expectation", expectation(task), 0)
        tqdm.write(expectation(task))

    def step(self, figures: dict[str, float]) -> None:
        """Move the progress bar on and show the last figures."""
        self.bar.update()
        if self.writes and figures:
            self.bar.set_postfix({name: f"{value:.3g}" for name, value in figures.items()}, refresh=False)

    def row(self, step: int, prefix: str, figures: dict[str, float]) -> None:
        """Write figures, named `prefix` + name in the log and `train/...` or `valid/...` in TensorBoard.

        Figures that are undefined (NaN), such as a rate of no clips, are left out.
        """
        if not self.writes:
            return
        figures = {name: value for name, value in figures.items() if math.isfinite(value)}
        row = {"step": step, **{f"{prefix}{name}": round(float(value), 6) for name, value in figures.items()}}
        with self.path.open("a") as file:
            file.write(to_json(row) + "\n")
        for name, value in figures.items():
            self.board.add_scalar(f"{prefix or 'train/'}{name}", value, step)
        tqdm.write("  ".join(f"{name} {float(value):.4g}" for name, value in row.items()))

    def pictures(self, step: int, pictures: dict[str, Tensor]) -> None:
        """Show pictures (3, H, W) in TensorBoard."""
        if self.writes:
            for name, picture in pictures.items():
                self.board.add_image(name, picture, step)

    def close(self) -> None:
        """Write what is still in memory."""
        self.bar.close()
        if self.writes:
            self.board.close()


def expectation(task: Task) -> str:
    """One sentence about the level of chance and the course of the loss."""
    chance = f"a loss of {task.chance:.3f} is chance; " if math.isfinite(task.chance) else ""
    return f"{task.name}: {chance}{task.course}"


def cut_back(path: Path, step: int) -> None:
    """Drop the log's rows after `step`, and a last line that was not written whole."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:
            break
    with atomic_write(path) as part:
        part.write_text("".join(kept))


def read_log(path: Path) -> list[Row]:
    """The rows of a run's log, as far as they were written whole."""
    rows: list[Row] = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
