"""JSON that every reader takes: finite numbers, whole characters."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from synchformer.errors import NotFiniteError
from synchformer.storage.csv_rows import as_csv
from synchformer.storage.json_text import to_json, undefined_as_none
from synchformer.storage.results_table import Table


@dataclass(frozen=True)
class Item:
    name: str
    values: tuple[float, ...]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_and_named(bad):
    with pytest.raises(NotFiniteError, match=r"values\[1\] is no finite number"):
        to_json({"items": [Item("a", (0.5, bad))]})
    with pytest.raises(NotFiniteError, match=r"^confidence is no finite"):
        to_json({"video": "a.mp4", "confidence": bad})
    assert undefined_as_none({"items": [Item("a", (0.5, bad))]}) == {"items": [{"name": "a", "values": [0.5, None]}]}


@pytest.mark.parametrize("ascii_only", [False, True])
def test_what_is_written_can_be_read(ascii_only):
    name = os.fsdecode(b"caf\xe9 \xc3\xa9.mp4")
    text = to_json({"video": name, name: Path(name), "film": "映画 🎬 \\", "quote": '"'}, ascii_only=ascii_only)
    assert text.isascii() == ascii_only
    text.encode("utf-8")
    values = json.loads(text)
    assert values == {
        "video": r"caf\xe9 é.mp4",
        r"caf\xe9 é.mp4": r"caf\xe9 é.mp4",
        "film": "映画 🎬 \\",
        "quote": '"',
    }


def test_what_has_no_form_in_json_is_an_error():
    with pytest.raises(TypeError, match="set has no form in JSON"):
        to_json({"a": {1, 2}})


def test_tables_hold_numbers_or_nothing(tmp_path):
    assert as_csv([{"a": math.nan, "b": 0.5, "c": (1.0, math.inf)}]) == "a,b,c\r\n,0.5,1.0;\r\n"
    with Table(tmp_path / "a.csv", ("file", "value"), {}) as table:
        table.add({"file": os.fsdecode(b"caf\xe9"), "value": 0.5})
        with pytest.raises(NotFiniteError, match="holds numbers, not nan"):
            table.add({"file": "b", "value": math.nan})
        table.add({"file": "c", "value": None})
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").split() == ["file,value", r"caf\xe9,0.5", "c,"]
