"""Rows as CSV: bytes by hand, and one writer for all tables."""

import csv
import re
from dataclasses import dataclass

import pytest

from synchformer.storage.atomic import write_json
from synchformer.storage.csv_rows import as_csv, write_csv
from tests.support.paths import ROOT


@dataclass(frozen=True)
class Item:
    name: str
    value: float | None
    labels: tuple[str, ...] = ()


ITEMS = [Item('a "b", c', 0.1, ("x", "y")), Item("é\nf", None)]
BYTES = 'name,value,labels\r\n"a ""b"", c",0.1,x;y\r\n"é\nf",,\r\n'


def test_no_other_module_writes_csv():
    folders = ("attribution", "benchmarks", "interface", "synchformer", "synthetic", "training")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    owners = [path for path in paths if re.search(r"csv\.(writer|DictWriter)\b", path.read_text())]
    assert [path.relative_to(ROOT).as_posix() for path in owners] == ["synchformer/storage/csv_rows.py"]


def test_dataclasses_mappings_and_lists_are_written_alike(tmp_path):
    mappings = [{"labels": item.labels, "value": item.value, "name": item.name} for item in ITEMS]
    lists = [[item.name, item.value, item.labels] for item in ITEMS]
    columns = ["name", "value", "labels"]
    assert as_csv(ITEMS) == as_csv(mappings, columns) == as_csv(lists, columns) == BYTES
    write_csv(tmp_path / "table.csv", ITEMS)
    assert (tmp_path / "table.csv").read_bytes() == BYTES.encode()
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        assert [row["name"] for row in csv.DictReader(file)] == [item.name for item in ITEMS]


def test_without_header_and_with_other_line_ends():
    assert as_csv([[1, 2.5]], ["a", "b"], header=False) == "1,2.5\r\n"
    assert as_csv([[1, None]], ["a", "a"], line_end="\n") == "a,a\n1,\n"
    assert as_csv([], ["a", "b"]) == "a,b\r\n"


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([], None, "no rows needs the names of its columns"),
        ([[1]], None, "lists need the names of their columns"),
        ([[1]], ["a", "b"], "a row has 1 values for the 2 columns a, b"),
        ([{"a": 1}, {"b": 1}], None, "a row has the columns b, not a"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, columns, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_csv(tmp_path / "table.csv", rows, columns)
    assert not list(tmp_path.iterdir())


def test_json_of_dataclasses_appears_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "a.json", {"items": [Item("é", 0.5)]})
    kept = '{\n "items": [\n  {\n   "name": "é",\n   "value": 0.5,\n   "labels": []\n  }\n ]\n}'
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == kept
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"items": {1, 2}})
    assert (tmp_path / "a.json").read_text() == kept
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
