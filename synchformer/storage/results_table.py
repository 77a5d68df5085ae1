"""A table that grows a row per file and survives an interruption: CSV as it goes, Parquet at the end."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from synchformer.errors import NotFiniteError
from synchformer.storage.atomic import atomic_write
from synchformer.storage.csv_rows import as_csv, write_csv
from synchformer.storage.file_names import encodable

SUFFIXES = (".csv", ".parquet")


class Table:
    """Rows of a file, by their first column; rows that are there already are kept and need not be made again.

    Use it as a context. For Parquet, rows are collected in a CSV file beside it until the context ends well.

    Args:
        path: `.csv` or `.parquet`.
        columns: names in order; the first one names the row.
        fixed: columns that have one value in the whole table, such as the model; a table with others is refused.

    Raises:
        ValueError: another suffix, a file that holds other columns or other fixed values, or Parquet without pyarrow.
    """

    def __init__(self, path: str | Path, columns: Sequence[str], fixed: Mapping[str, str]) -> None:
        self.path, self.columns, self.fixed = Path(path), [*columns, *fixed], dict(fixed)
        if self.path.suffix not in SUFFIXES:
            raise ValueError(f"a table ends in {' or '.join(SUFFIXES)}, not {self.path.name}")
        if self.path.suffix == ".parquet":
            _parquet()
        self.journal = self.path if self.path.suffix == ".csv" else self.path.with_name(f".{self.path.stem}.rows.csv")
        self.rows = self._kept()
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_csv(self.journal, self.rows, self.columns)
        self._file = self.journal.open("a", newline="", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()
        if kind is None and self.path.suffix == ".parquet":
            pyarrow, parquet = _parquet()
            columns = {name: _values([row[name] for row in self.rows]) for name in self.columns}
            with atomic_write(self.path) as part:
                parquet.write_table(pyarrow.table(columns), part)
            self.journal.unlink()

    @property
    def names(self) -> set[str]:
        """The rows that are there, by their first column."""
        return {row[self.columns[0]] for row in self.rows}

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row at once; columns that it lacks stay empty.

        Raises:
            NotFiniteError: when a number is NaN or infinite; the table stays as it was.
        """
        assert self._file is not None, "a table is used as a context"
        full = {name: _text({**row, **self.fixed}.get(name)) for name in self.columns}
        self._file.write(as_csv([full], self.columns, header=False))
        self._file.flush()
        self.rows.append(full)

    def _kept(self) -> list[dict[str, str]]:
        """Rows of an earlier run; a row that was cut off in the middle is left out."""
        if not self.journal.exists() or not self.journal.stat().st_size:
            return []
        text = self.journal.read_text(encoding="utf-8")
        lines = text[: text.rfind("\n") + 1].splitlines(keepends=True)
        reader = csv.DictReader(lines)
        if list(reader.fieldnames or ()) != self.columns:
            raise ValueError(f"{self.path} exists and has other columns; choose another name")
        rows = [row for row in reader if None not in row and None not in row.values()]
        strange = {row[name] for row in rows for name, value in self.fixed.items() if row[name] != value}
        if strange:
            raise ValueError(f"{self.path} exists and holds results for {', '.join(sorted(strange))} instead of "
                             f"{', '.join(self.fixed.values())}; choose another name")  # fmt: skip
        return rows


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return encodable(str(value))
    if not math.isfinite(value):
        raise NotFiniteError(f"a table of results holds numbers, not {value}")
    return f"{value:.6g}"


def _values(texts: list[str]) -> list[float | None] | list[str]:
    """A column of numbers, empty ones missing, where all its texts are numbers."""
    try:
        return [float(text) if text else None for text in texts]
    except ValueError:
        return texts


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError("Parquet needs pyarrow (pip install pyarrow); or choose a name that ends in .csv") from error
    return pyarrow, pyarrow.parquet
