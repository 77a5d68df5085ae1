"""What several commands share: options, loading the model, progress bars, errors."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

from synchformer.checkpoints.device_names import DEVICE_HELP, device_name
from synchformer.config import Precision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synchformer.modeling.synchformer import Synchformer

Commands = Any  # argparse's own class of subparsers is private


def add_model(parser: argparse.ArgumentParser) -> None:
    """Options `--model`, `--device`, `--precision`."""
    parser.add_argument("--model", default="mini", help="a name from `synchformer models`, or a file (default: mini)")
    add_device(parser)
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="auto", help="auto: bf16 on CUDA, fp32 on the CPU"
    )


def add_device(parser: argparse.ArgumentParser, default: str = "auto") -> None:
    """Option `--device`, the same in every command of every package."""
    parser.add_argument("--device", type=named_device, default=default, help=f"{DEVICE_HELP} (default: {default})")


def named_device(text: str) -> str:
    """The name of a device, for argparse."""
    try:
        return device_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def seconds(text: str) -> float:
    """A finite number of seconds, for argparse."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def count(text: str) -> int:
    """A number of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a count of at least 1")
    return value


def share(text: str) -> float:
    """A number between 0 and 1, for argparse."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return value


class NoModelError(Exception):
    """A model that cannot be loaded, with the exit status that this means."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def load(command: str, name: str, device: str) -> Synchformer:
    """Load a model by name or path.

    Raises:
        NoModelError: when that fails; status 1 for a failed download, 2 for a wrong name or file.
    """
    from synchformer.checkpoints.download import DownloadError
    from synchformer.checkpoints.registry import load_model

    try:
        return load_model(name, device=device)
    except (ValueError, OSError) as error:
        status = 1 if isinstance(error, DownloadError) else 2
        raise NoModelError(f"synchformer {command}: --model {name}: {error}", status) from error


def experience_of(name: str) -> str:
    """What a model has seen in training, in one line."""
    from synchformer.checkpoints.experience import experience

    return experience(name)


def complain(message: str, status: int = 1) -> int:
    """Say what went wrong on the error output, and give the exit status back."""
    print(message, file=sys.stderr, flush=True)
    return status


@contextmanager
def bar(what: str, unit: str = "s") -> Iterator[Callable[[float, float], None]]:
    """A progress bar on the error output, where that is a terminal: call it with what is done and the total."""
    from tqdm import tqdm

    shape = "{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} " + unit + " [{elapsed}<{remaining}]"
    with tqdm(desc=what, total=1, bar_format=shape, disable=None, leave=False) as shown:

        def move(done: float, total: float) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield move
