"""Results as JSON that every reader takes: no NaN, no infinity, no half of a character."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from os import PathLike
from typing import Any

from synchformer.errors import NotFiniteError
from synchformer.storage.file_names import encodable, printable


def to_json(values: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Plain values, dataclasses and paths as JSON text.

    Args:
        values: what to write; undefined figures are None (see `undefined_as_none`).
        indent: spaces of each level; None for one line.
        ascii_only: write other characters as escapes, for streams that cannot take them.

    Raises:
        NotFiniteError: when a number is NaN or infinite; says which.
        TypeError: when a value has no form in JSON.
    """
    try:
        text = json.dumps(values, indent=indent, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError as error:
        place = _not_finite(values, "the result")
        if place is None:
            raise
        raise NotFiniteError(f"{place} is no finite number, so it cannot be written as JSON") from error
    text = encodable_json(text)
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text) if ascii_only else text


def encodable_json(text: str) -> str:
    r"""JSON text whose lone surrogates are escapes inside of its strings: `\\xe9` for the byte E9."""
    return re.sub("[\ud800-\udfff]+", lambda found: encodable(found[0]).replace("\\", "\\\\"), text)


def undefined_as_none(values: Any) -> Any:
    """The same values with None for every NaN and infinity: figures that are undefined, such as a rate of no clips."""
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    if isinstance(values, Mapping):
        return {name: undefined_as_none(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [undefined_as_none(value) for value in values]
    if is_dataclass(values) and not isinstance(values, type):
        return undefined_as_none(asdict(values))
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, PathLike):
        return printable(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _not_finite(values: Any, place: str) -> str | None:
    """Where the first number stands that is NaN or infinite, such as `probabilities[3]`."""
    if isinstance(values, float):
        return None if math.isfinite(values) else place
    if is_dataclass(values) and not isinstance(values, type):
        values = asdict(values)
    if isinstance(values, Mapping):
        parts = [(str(name), value) for name, value in values.items()]
    elif isinstance(values, list | tuple):
        parts = [(f"{place}[{index}]", value) for index, value in enumerate(values)]
    else:
        return None
    return next((where for name, value in parts if (where := _not_finite(value, name)) is not None), None)
