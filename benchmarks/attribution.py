"""Masks per second of the attribution, against what it would cost without its savings.

python -m benchmarks.attribution
python -m benchmarks.attribution --models mini,base --masks 64 --device cuda

Alternatives measured in the same run: the whole model for every mask, as the published code would have to do it, and
the synchronization module called with mixed features in batches, in float32. `base` has random weights. The share of
the peak is that of the largest rate of a matrix product found on this machine, in the type the fast path uses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from attribution.scoring.fast_synchronizer import FastSynchronizer, pick_dtype
from synchformer.checkpoints.registry import pick_device
from synchformer.cli.options import add_device
from synchformer.config import PRESETS, SynchformerConfig
from synchformer.inference.prediction import Encoding
from synchformer.modeling.synchformer import Synchformer

DISTRACTORS = 4
ROUNDS = 20


def random_encoding(config: SynchformerConfig, device: str) -> Encoding:
    """Features of nobody: the time does not depend on their values."""
    size = (1, config.segments)
    video = torch.randn(*size, config.video_steps, config.dim, device=device)
    return Encoding(video, torch.randn(*size, config.audio_steps, config.dim, device=device))


def seconds(*works: Callable[[], object], max_seconds: float = 20.0) -> list[float]:
    """The shortest run of each, in rounds of all that take up to `max_seconds`, after one that is not counted.

    Other work on the machine, which comes and goes, then slows all of them alike.
    """
    rounds = list[list[float]]()
    while len(rounds) < 2 or (sum(map(sum, rounds[1:])) < max_seconds and len(rounds) < 1 + ROUNDS):
        rounds.append([_once(work) for work in works])
    return [min(times) for times in zip(*rounds[1:], strict=True)]


def _once(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter() - begin


def plain(model: Synchformer, clip: Encoding, others: list[Encoding], keep: Tensor, choice: Tensor) -> Tensor:
    """The same mixtures through the whole synchronization module."""
    config = model.config
    middle = 1 + config.segments * config.video_steps
    masks = keep[:, 1:middle], keep[:, middle + 1 :]
    shapes = (config.segments, config.video_steps, 1), (config.segments, config.audio_steps, 1)
    mixed = [
        torch.where(mask.unflatten(1, shape[:2])[..., None], mine, torch.cat([theirs[int(i)] for i in choice]))
        for mask, shape, mine, theirs in (
            (masks[0], shapes[0], clip.video_features, [each.video_features for each in others]),
            (masks[1], shapes[1], clip.audio_features, [each.audio_features for each in others]),
        )
    ]
    return model.synchronize(*mixed)


def peak(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations per second of the fastest of some square matrix products."""
    best = 0.0
    for size in (512, 1024, 2048) if device == "cpu" else (2048, 4096, 8192):
        left = torch.randn(size, size, device=device, dtype=dtype)
        best = max(best, 2 * size**3 / seconds(lambda left=left: left @ left, max_seconds=1.0)[0])  # type: ignore[misc]
    return best


@torch.inference_mode()
def measure(name: str, masks: int, device: str) -> str:
    """One row of the table."""
    config = PRESETS[name]
    model = Synchformer(config).eval().to(device)
    clip, *others = (random_encoding(config, device) for _ in range(DISTRACTORS + 1))
    fast = FastSynchronizer(model.synchronizer, clip, others, pick_dtype(torch.device(device), "auto"))
    exact = FastSynchronizer(model.synchronizer, clip, others, torch.float32)
    keep = torch.rand(masks, fast.length, device=device) < 0.5
    keep[:, [0, 1 + config.segments * config.video_steps]] = True
    choice = torch.arange(masks, device=device) % DISTRACTORS
    batch = min(masks, fast.batch())
    rows = [slice(first, first + batch) for first in range(0, masks, batch)]
    frames = torch.zeros(
        1, config.segments, config.segment_frames, 3, config.image_size, config.image_size, device=device
    )
    mel = torch.zeros(1, config.segments, config.mel_bins, config.mel_frames, device=device)
    quick, slow, whole = seconds(
        lambda: [fast(keep[row], choice[row]) for row in rows],
        lambda: [plain(model, clip, others, keep[row], choice[row]) for row in rows],
        lambda: model(frames, mel),
    )
    quick, slow = quick / masks, slow / masks
    with FlopCounterMode(display=False) as counter:
        fast(keep[rows[0]], choice[rows[0]])
    rate = counter.get_total_flops() / len(keep[rows[0]]) / quick
    difference = float((exact(keep[:4], choice[:4]) - plain(model, clip, others, keep[:4], choice[:4])).abs().max())
    share = rate / peak(device, fast.dtype)
    kind = str(fast.dtype).removeprefix("torch.")
    return (
        f"| {name} | {1 / quick:.0f} ({kind}, batch {batch}) | {whole / quick:.0f} | {slow / quick:.2f} | "
        f"{100 * share:.0f} % | {difference:.1e} |"
    )


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attribution", description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="mini,base")
    parser.add_argument("--masks", type=int, default=48)
    add_device(parser, default="cpu")
    options = parser.parse_args(argv)
    device = str(pick_device(options.device))
    print(f"{device}, {torch.get_num_threads()} threads, {options.masks} masks")
    print(
        "| size | masks per second | times faster than the whole model | than the plain module | of peak | difference |"
    )
    print("|---|---|---|---|---|---|")
    for name in options.models.split(","):
        print(measure(name, options.masks, device), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
