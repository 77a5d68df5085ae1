"""ZeroGPU on Hugging Face Spaces, where it is there: elsewhere functions come back unchanged.

On ZeroGPU a decorated function runs in a process of its own with pickled arguments, for a bounded time. It must be
given plain values and tensors on the CPU, and what it keeps in memory is lost: caches belong to the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

SECONDS = 60  # of an accelerator, for one call

Work = TypeVar("Work", bound=Callable[..., Any])


def on_accelerator(seconds: int = SECONDS) -> Callable[[Work], Work]:
    """A decorator that asks ZeroGPU for an accelerator while the function runs; without the package it does nothing.

    Args:
        seconds: most that one call takes; ZeroGPU ends it then.

    Raises:
        ValueError: when `seconds` is not positive.
    """
    if seconds <= 0:
        raise ValueError(f"a call takes more than {seconds} s; give the most it may take")

    def decorate(work: Work) -> Work:
        if find_spec("spaces") is None:
            return work
        import spaces

        decorated: Work = spaces.GPU(duration=seconds)(work)
        return decorated

    return decorate
