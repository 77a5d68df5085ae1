"""Models of equal size: how wide the convolutional parts must be for a given number of parameters."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cache

import torch
from torch import nn

STEPS = 200  # widths that are tried, evenly spaced up to the published one


def parameter_count(build: Callable[[], nn.Module]) -> int:
    """Parameters of the module that `build` makes; no memory is taken for them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build().parameters())


def fitting_width(build: Callable[[float], nn.Module], target: int) -> float:
    """The width up to 1 at which `build(width)` has nearly `target` parameters.

    Args:
        build: makes a module that grows with its width.
        target: number of parameters.

    Returns:
        1 where even the published width has fewer.
    """

    @cache
    def count(width: float) -> int:
        return parameter_count(lambda: build(width))

    if count(1.0) <= target:
        return 1.0
    widths = [number / STEPS for number in range(1, STEPS + 1)]
    above = min(bisect_left(widths, target, key=count), STEPS - 1)
    return min(widths[max(0, above - 1) : above + 1], key=lambda width: abs(count(width) - target))
