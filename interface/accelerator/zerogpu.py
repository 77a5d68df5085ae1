"""Where the model runs: here, or for a bounded time in a worker of ZeroGPU on Hugging Face Spaces.

Everything that a session asks of a model goes through `run` or `stream`. Elsewhere than on ZeroGPU they call the work
as it is. On ZeroGPU the work runs in a process of its own, forked from this one: it and its arguments are pickled, what
it answers comes back on the CPU, and what it keeps in memory is lost, so that caches belong to the caller. A worker
finds models that were loaded before it was forked; others it loads itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib.util import find_spec
from itertools import count
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from torch import Tensor

from attribution.masking.distractors import Bank
from synchformer.checkpoints.registry import load_model
from synchformer.inference.prediction import Encoding
from synchformer.inference.sweep import Sounds
from synchformer.modeling.synchformer import Synchformer

SECONDS = 60  # of an accelerator, for one call; ZeroGPU ends it then
ROUND_SECONDS = 40.0  # after which long work gives the accelerator back and asks for it again

Work = TypeVar("Work", bound=Callable[..., Any])


@dataclass(frozen=True)
class Handle:
    """A model by the number under which it is known here, and what `load_model` needs where it is not known."""

    number: int
    source: str | None
    device: str = "auto"


@dataclass(frozen=True)
class Refusal:
    """An error that a worker hands back: ZeroGPU itself tells no more than an error's class."""

    sentence: str


_models: dict[int, Synchformer] = {}  # at module level, where a forked worker finds them
_numbers = count()
_handles: WeakKeyDictionary[Synchformer, Handle] = WeakKeyDictionary()


def zero_gpu() -> bool:
    """Whether this process is a ZeroGPU Space."""
    asked = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
    return asked and find_spec("spaces") is not None


def on_accelerator(seconds: int = SECONDS) -> Callable[[Work], Work]:
    """A decorator that asks ZeroGPU for an accelerator while the function runs; elsewhere it does nothing.

    Args:
        seconds: most that one call takes; ZeroGPU ends it then.

    Raises:
        ValueError: when `seconds` is not positive.
    """
    if seconds <= 0:
        raise ValueError(f"a call takes more than {seconds} s; give the most it may take")

    def decorate(work: Work) -> Work:
        if not zero_gpu():
            return work
        import spaces

        decorated: Work = spaces.GPU(duration=seconds)(work)
        return decorated

    return decorate


def hold(model: Synchformer, source: str | None = None, device: str = "auto") -> Handle:
    """Make a model known to workers; on ZeroGPU it is held for good, for its weights lie with the platform.

    Args:
        model: in evaluation mode.
        source: the name or file that it was loaded from, for workers that are older than it.
        device: where a worker puts it.
    """
    handle = _handles.get(model)
    if handle is None:
        handle = _handles[model] = Handle(next(_numbers), source, device)
        if zero_gpu():
            _models[handle.number] = model
    return handle


def run(work: Callable[..., Any], model: Synchformer, *arguments: Any) -> Any:
    """`work(model, *arguments)`, where the accelerator is.

    Args:
        work: a function of a module, so that it can be pickled.
        model: its first argument.
        arguments: the others; plain values, and dataclasses of tensors.

    Raises:
        ValueError: what `work` raises of that kind.
    """
    if not zero_gpu():
        return work(model, *arguments)
    return _unwrapped(_call(work, hold(model), arguments))


def stream(work: Callable[..., Iterator[Any]], model: Synchformer, *arguments: Any) -> Generator[Any]:
    """The values of `work(model, *arguments)` as they come; closing the generator stops the work.

    Raises:
        ValueError: what `work` raises of that kind.
    """
    if not zero_gpu():
        yield from work(model, *arguments)
        return
    with closing(_calls(work, hold(model), arguments)) as parts:
        for part in parts:
            yield _unwrapped(part)


@on_accelerator()
def _call(work: Callable[..., Any], handle: Handle, arguments: tuple[Any, ...]) -> Any:
    """One step in a worker."""
    try:
        model = _model(handle)
        return moved(work(model, *_there(model, arguments)), "cpu")
    except ValueError as error:
        return Refusal(str(error))


@on_accelerator()
def _calls(work: Callable[..., Iterator[Any]], handle: Handle, arguments: tuple[Any, ...]) -> Generator[Any]:
    """One streamed step in a worker."""
    try:
        model = _model(handle)
        for part in work(model, *_there(model, arguments)):
            yield moved(part, "cpu")
    except ValueError as error:
        yield Refusal(str(error))


def _unwrapped(answer: Any) -> Any:
    if isinstance(answer, Refusal):
        raise ValueError(answer.sentence)
    return answer


def _model(handle: Handle) -> Synchformer:
    if handle.number not in _models:
        if handle.source is None:
            raise ValueError("this model is not known to the accelerator; choose it again")
        _models[handle.number] = load_model(handle.source, handle.device)
    return _models[handle.number]


def _there(model: Synchformer, arguments: tuple[Any, ...]) -> list[Any]:
    """Features among the arguments, moved to the model; clips stay, for the encoders fetch them."""
    device = str(next(model.parameters()).device)
    return [moved(each, device) if isinstance(each, Encoding | Sounds | Bank) else each for each in arguments]


def moved(value: Any, device: str) -> Any:
    """A value with every tensor in it on a device; containers and dataclasses are copied."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)([moved(each, device) for each in value])
    if isinstance(value, dict):
        return {key: moved(each, device) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: moved(getattr(value, each.name), device) for each in fields(value)})
    return value
