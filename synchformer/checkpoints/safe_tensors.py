"""Read tensors from files without running anything that the files contain.

A `.pt` file is a zip archive of raw tensor bytes and one pickle that says what they are, and a pickle is a program. The
published files hold OmegaConf objects beside their tensors, so PyTorch's own careful reading refuses them, and its
careless reading runs whatever they ask for. Here the pickle can only build containers, numbers, strings and plain
descriptions of tensors; every other class or function that it names is replaced by `Inert`, and nothing is imported.
The described tensors are then mapped from the file: bytes that no one uses, an optimizer's state above all, stay on
disk. PyTorch's loader is not called, for it hands archives of TorchScript on to an interpreter of their code.
"""

from __future__ import annotations

import io
import math
import mmap
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

# Where the published layouts keep their weights: stages II and III, stage I. Otherwise the file is a plain state dict.
STATE_KEYS = ("model", "state_dict", "model_state")
NOTES = ("epoch", "loss")  # plain numbers worth keeping

LOCAL_HEADER_SIZE = 30  # bytes in front of a zip record's name; its last two fields are the lengths of what follows
LOCAL_HEADER_LENGTHS = struct.Struct("<HH")

DTYPES: Mapping[str, torch.dtype] = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
}


class CheckpointError(ValueError):
    """A file of weights that cannot be used; says which, why, and what to do."""


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
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        if zipfile.is_zipfile(path):
            return _read_torch(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    raise CheckpointError(
        f"{path} is neither safetensors nor a whole PyTorch file of version 1.6 or newer; "
        "download it again, or save it anew with torch.save"
    )


def read_metadata(path: Path) -> dict[str, str]:
    """The strings in a safetensors file's header, without its tensors.

    Raises:
        CheckpointError: when the file is damaged or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no safetensors file: {error}; export it again") from error


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
        archive = Archive(path)
        content = InertUnpickler(archive.pickle).load()
        state = _state(content)
        tensors = {name: archive.tensor(view) for name, view in state.items()}
        notes = {name: str(content[name]) for name in NOTES if state and isinstance(content.get(name), int | float)}
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise CheckpointError(f"{path} is damaged or no PyTorch file ({error}); download it again") from error
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors under {' or '.join(STATE_KEYS)} nor at its top level")
    return Weights(tensors, notes)


def _state(content: object) -> dict[str, View]:
    """The described tensors of a file's state, wherever its layout keeps them."""
    if not isinstance(content, Mapping):
        return {}
    state = next((content[key] for key in STATE_KEYS if isinstance(content.get(key), Mapping)), content)
    return {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, View)}


class Storage(NamedTuple):
    """A record of raw bytes in the archive: its element type and its name."""

    dtype: torch.dtype
    key: str


class View(NamedTuple):
    """A tensor that is not read yet: a part of a storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Archive:
    """A PyTorch zip file, of which the tensors are mapped and not read.

    Raises:
        CheckpointError: when the archive holds a TorchScript program, or no pickle.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # changes never reach the file
            with zipfile.ZipFile(file) as archive:
                self._records = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in self._records if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise CheckpointError(f"{path} is a zip file, but not one that torch.save wrote; choose a file of weights")
        self._folder = pickles[0].removesuffix("data.pkl")
        if self._folder + "constants.pkl" in self._records:
            raise CheckpointError(f"{path} is a TorchScript program; save the model's state dict with torch.save")
        if self._folder + "byteorder" in self._records and self._record("byteorder") != b"little":
            raise CheckpointError(f"{path} was written on a big-endian machine; save it anew on a little-endian one")

    @property
    def pickle(self) -> io.BytesIO:
        """The pickle that describes the tensors."""
        return io.BytesIO(self._record("data.pkl"))

    def tensor(self, view: View) -> Tensor:
        """The tensor of a view, in the memory of the file's map.

        Raises:
            KeyError, RuntimeError, ValueError: when the archive does not hold that view.
        """
        start, size = self._place(f"data/{view.storage.key}")
        dtype = view.storage.dtype
        count = size // dtype.itemsize
        if math.prod(view.size) > count:  # a few bytes, repeated, could fill the memory
            raise ValueError(f"a tensor of shape {tuple(view.size)} is larger than its {count} stored numbers")
        if not count:
            return torch.empty(view.size, dtype=dtype)
        flat = torch.frombuffer(self._bytes, dtype=dtype, count=count, offset=start)
        return flat.as_strided(view.size, view.stride, view.offset)

    def _record(self, name: str) -> bytes:
        start, size = self._place(name)
        return self._bytes[start : start + size]

    def _place(self, name: str) -> tuple[int, int]:
        """Where a record's bytes start, and how many there are."""
        info = self._records[self._folder + name]
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"the record {info.filename} is compressed")
        header_end = info.header_offset + LOCAL_HEADER_SIZE
        lengths = LOCAL_HEADER_LENGTHS.unpack_from(self._bytes, header_end - LOCAL_HEADER_LENGTHS.size)
        return header_end + sum(lengths), info.file_size


class Inert:
    """Stands for anything a pickle names that is not a tensor: takes every call, item and state, and does nothing."""

    __slots__ = ()

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

    def add(self, _: object) -> None:
        """Ignore the item."""


class Builder:
    """Calls a function for a pickle; unlike the function, it has no attributes that a pickle could overwrite."""

    __slots__ = ("_build",)

    def __init__(self, build: Callable[..., object]) -> None:
        self._build = build

    def __call__(self, *arguments: object) -> object:
        """What the function makes of the arguments."""
        return self._build(*arguments)

    def __setstate__(self, _: object) -> None:
        """Ignore the state."""


def _view(storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> View:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor is built from something that is no storage")
    return View(storage, offset, size, stride)


ALLOWED: Mapping[tuple[str, str], object] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): Builder(_view),
    ("torch._utils", "_rebuild_parameter"): Builder(lambda view, *_: view),
    **{("torch", name): dtype for name, dtype in DTYPES.items()},
}


class InertUnpickler(pickle.Unpickler):
    """An unpickler that builds containers, numbers, strings and descriptions of tensors, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The allowed constructor of that name, or `Inert`; nothing is ever imported."""
        return ALLOWED.get((module, name), Inert)

    def persistent_load(self, identity: Any) -> Storage:
        """The storage that the pickle points to.

        Raises:
            ValueError: when it points to something else, or to elements of an unknown type.
        """
        _, dtype, key, *_ = identity
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"the storage {key} is of an unknown type")
        return Storage(dtype, key)
