"""JSON and CSV files of dataclasses."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from synchformer.storage.atomic import written_whole


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write plain values and dataclasses as JSON; the file appears whole or not at all."""
    with written_whole(path) as part:
        part.write_text(json.dumps(values, indent=1, default=asdict))


def write_table(path: Path, rows: Sequence[Any]) -> None:
    """A CSV file of dataclass rows; tuples are joined with a semicolon."""
    names = [field.name for field in fields(rows[0])]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)


def _cell(value: object) -> object:
    return ";".join(map(str, value)) if isinstance(value, tuple) else value
