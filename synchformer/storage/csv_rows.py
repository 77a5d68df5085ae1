"""Rows as CSV: of dataclasses, mappings or lists, as text or as a file that appears whole or not at all."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

from synchformer.storage.atomic import atomic_write
from synchformer.storage.file_names import encodable

LINE_END = "\r\n"  # of RFC 4180


class DataclassRow(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Row = DataclassRow | Mapping[str, Any] | list[Any]


def as_csv(
    rows: Sequence[Row], columns: Sequence[str] | None = None, *, header: bool = True, line_end: str = LINE_END
) -> str:
    """A header and a line per row; tuples are joined with semicolons, None, NaN and infinity are empty.

    Args:
        rows: dataclasses, or mappings of columns to values, or lists in the order of `columns`.
        columns: their names in order; those of the first row when None.
        header: whether the names stand above the rows.
        line_end: what closes a line.

    Raises:
        ValueError: when no columns are named and there is no row to take them from, or a row has others.
    """
    names = list(_as_mapping(rows[0]) if columns is None and rows else columns or ())
    if not names:
        raise ValueError("a table of no rows needs the names of its columns; give them as columns")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=line_end)
    if header:
        writer.writerow(names)
    writer.writerows(_cells(row, names) for row in rows)
    return text.getvalue()


def write_csv(path: Path, rows: Sequence[Row], columns: Sequence[str] | None = None) -> None:
    """Write `as_csv` to a file.

    Raises:
        ValueError: as `as_csv`.
        OSError: when the folder cannot be written to.
    """
    text = as_csv(rows, columns)
    with atomic_write(path) as part:
        part.write_bytes(text.encode())


def _cells(row: Row, names: list[str]) -> list[object]:
    if isinstance(row, list):
        if len(row) != len(names):
            raise ValueError(f"a row has {len(row)} values for the {len(names)} columns {', '.join(names)}")
        return [_cell(value) for value in row]
    values = _as_mapping(row)
    if set(values) != set(names):
        raise ValueError(f"a row has the columns {', '.join(values)}, not {', '.join(names)}")
    return [_cell(values[name]) for name in names]


def _as_mapping(row: Row) -> Mapping[str, Any]:
    if isinstance(row, list):
        raise ValueError("rows that are lists need the names of their columns; give them as columns")
    return row if isinstance(row, Mapping) else {field.name: getattr(row, field.name) for field in fields(row)}


def _cell(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return ""  # an undefined figure, such as a rate of no clips
    if isinstance(value, tuple):
        return ";".join(str(_cell(each)) for each in value)
    return encodable(value) if isinstance(value, str) else value
