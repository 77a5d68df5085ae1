"""Read tensors from files without running anything that the files contain.

A `.pt` file is a pickle, and a pickle is a program. The published files hold OmegaConf objects beside their tensors.
Here every class or function that a pickle asks for, but for the few that build tensors, is replaced by `Inert`: it
accepts any construction and any state, and does nothing.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

# Where the published layouts keep their weights: stage II, stage I, Motionformer. Otherwise the file is a plain state.
STATE_KEYS = ("model", "state_dict", "model_state")
NOTES = ("epoch", "loss")  # plain numbers worth keeping


class CheckpointError(ValueError):
    """A file of weights that cannot be used; says which, why, and what to do."""


class Inert:
    """Stands for anything a pickle names that is not a tensor: takes every call and state, and does nothing."""

    def __new__(cls, *_: object, **__: object) -> Inert:
        """Make an empty object, whatever the arguments."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        """Ignore the arguments."""

    def __call__(self, *_: object, **__: object) -> Inert:
        """Ignore the call."""
        return self

    def __setstate__(self, _: object) -> None:
        """Ignore the state."""

    def __setitem__(self, _: object, __: object) -> None:
        """Ignore the item."""

    def append(self, _: object) -> None:
        """Ignore the item."""

    def extend(self, _: object) -> None:
        """Ignore the items."""

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    **{
        ("torch", f"{kind}Storage"): getattr(torch, f"{kind}Storage")
        for kind in ("Half", "BFloat16", "Float", "Double", "Char", "Byte", "Short", "Int", "Long", "Bool")
    },
}


class InertUnpickler(pickle.Unpickler):
    """An unpickler that can build containers, numbers, strings and tensors, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The allowed constructor of that name, or `Inert`; nothing is ever imported."""
        return ALLOWED.get((module, name), Inert)


def _pickle_module() -> ModuleType:
    """What `torch.load` takes for the pickle module."""
    module = ModuleType("inert_pickle")
    module.Unpickler = InertUnpickler  # type: ignore[attr-defined]
    module.load = lambda file, **options: InertUnpickler(file, **options).load()  # type: ignore[attr-defined]
    return module


@dataclass(frozen=True)
class Weights:
    """Tensors by name, and what else a file says about itself: strings, and numbers such as the epoch."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


def read_weights(path: str | Path) -> Weights:
    """Read a safetensors file, or a PyTorch file in any of the published layouts; tensors stay on disk until used.

    Raises:
        CheckpointError: when the file does not exist, is of another format, is damaged, or holds no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}; give the path of a .safetensors, .pt or .pth file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"{path} is neither safetensors nor a whole PyTorch file of version 1.6 or newer; "
            "download it again, or save it anew with torch.save"
        )
    return _read_torch(path)


def _read_safetensors(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            return Weights(tensors, dict(file.metadata() or {}))
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file ({error}); download or export it again"
        ) from error


def _read_torch(path: Path) -> Weights:
    try:
        # weights_only would refuse the published files for their OmegaConf objects; `InertUnpickler` imports nothing.
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=False, pickle_module=_pickle_module())
    except Exception as error:
        raise CheckpointError(f"{path} is damaged or no PyTorch file ({error}); download it again") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds no table of tensors; expected a state dict or a published checkpoint")
    state = next((content[key] for key in STATE_KEYS if isinstance(content.get(key), Mapping)), content)
    tensors = dict(_tensors(state))
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors under {', '.join(STATE_KEYS)} nor at its top level")
    notes = {name: str(content[name]) for name in NOTES if isinstance(content.get(name), int | float)}
    return Weights(tensors, notes)


def _tensors(state: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    for name, value in state.items():
        if isinstance(name, str) and isinstance(value, Tensor):
            yield name, value.detach()
