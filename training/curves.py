"""Learning curves of a run as a picture: the loss and the figures of every validation, with their levels of chance.

python -m training.curves runs/mini --to curves.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from synchformer.cli.terminal import command
from training.config.names import Stage
from training.trainer.run_log import LOG, Row, read_log

HEADLINES = ("auc", "acc1", "acc1_tol1", "window_precision", "video_kind", "audio_kind")
STAGES = get_args(Stage)  # in the order in which they are trained
PARTS = ("video", "audio")  # losses of the unimodal start: only some steps have the sound's, so that their sum jumps
OWN = ("cross_entropy", "contrastive", "loss")  # what chance is said of: without the losses that only help
SMOOTH = 5  # logged steps that a point of the smooth curve averages


def draw(folder: Path) -> Figure:
    """One row of two panels per stage in `folder`: the training loss with chance, and what validations found.

    Raises:
        FileNotFoundError: when no stage in the folder has a log.
    """
    logs = [folder / stage / LOG for stage in STAGES if (folder / stage / LOG).exists()]
    if not logs:
        raise FileNotFoundError(f"{folder} holds no log of a stage; give the --out of training.run")
    figure = Figure(figsize=(11, 3.4 * len(logs)), layout="constrained")
    for panels, log in zip(figure.subplots(len(logs), 2, squeeze=False), logs, strict=True):
        rows = read_log(log)
        _loss(panels[0], rows, log.parent.name)
        _validations(panels[1], rows, log.parent.name)
    return figure


def _loss(axes: Axes, rows: list[Row], stage: str) -> None:
    trained = [row for row in rows if "loss" in row]
    names = [name for name in PARTS if any(name in row for row in trained)]
    names = names or [next(name for name in OWN if name == "loss" or any(name in row for row in trained))]
    for color, name in zip(("C0", "C1"), names, strict=False):
        points = [(row["step"], row[name]) for row in trained if name in row]
        steps, losses = np.array(points).reshape(-1, 2).T
        axes.plot(steps, losses, color=color, alpha=0.3, linewidth=1)
        if len(losses) >= SMOOTH:
            smooth = np.convolve(losses, np.ones(SMOOTH) / SMOOTH, mode="valid")
            axes.plot(steps[SMOOTH - 1 :], smooth, color=color, label=f"{name}, mean of {SMOOTH} logged steps")
    chance = trained[-1].get("chance", float("nan")) if trained else float("nan")
    if np.isfinite(chance):
        axes.axhline(chance, color="C3", linestyle="--", label=f"chance, {chance:.2f}")
    axes.set(title=f"{stage}: loss", xlabel="step", ylabel="loss in nats")
    axes.legend()


def _validations(axes: Axes, rows: list[Row], stage: str) -> None:
    for name in HEADLINES:
        points = [(row["step"], row[f"valid/{name}"]) for row in rows if f"valid/{name}" in row]
        if points:
            (line,) = axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
            for chance in {row[guess] for row in rows if (guess := f"valid/{name}_chance") in row}:
                axes.axhline(chance, color=line.get_color(), linestyle="--", linewidth=1)
    axes.set(title=f"{stage}: held-out clips", xlabel="step", ylim=(0, 1))
    if axes.lines:
        axes.legend(loc="lower right")


@command
def main(argv: list[str] | None = None) -> int:
    """Write the picture; exit status 1 when there is nothing to draw."""
    parser = argparse.ArgumentParser(prog="python -m training.curves", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the run")
    parser.add_argument("--to", type=Path, required=True, help="the picture, .png, .svg or .pdf")
    arguments = parser.parse_args(argv)
    try:
        draw(arguments.out).savefig(arguments.to, dpi=110)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
