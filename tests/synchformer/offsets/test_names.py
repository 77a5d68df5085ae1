"""Files under any name, among others: a row or a line for each, in tables, sets, prepared data and pictures."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest

from attribution.figures.figure_data import FigureData
from attribution.figures.matplotlib_figure import save_figure
from synchformer.consensus.batch import write_table
from synchformer.offsets.desync import desync, pair_by_name
from synchformer.offsets.plots import draw_timeline, save
from synchformer.offsets.scan import scan
from synchformer.storage.file_names import printable
from tests.support.media import MediaSpec, write
from tests.support.models import tiny
from tests.support.paths import ROOT
from training import check, prepare
from training.datasets.manifest import Manifest

NAMES = {
    b"caf\xe9.mp4": r"caf\xe9",
    b"a_good.mp4": "a_good",
    b"2024-05-01T10:00:00.mp4": "2024-05-01T10:00:00",
    b"$x^2_{$ 100%s.mp4": "$x^2_{$ 100%s",
    b"two\nlines.mp4": r"two\nlines",
    b"-o.mp4": "-o",
    b"'q\"u,o;te.mp4": "'q\"u,o;te",
    "映画🎬.mp4".encode(): "映画🎬",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names") / "films"
    folder.mkdir()
    data = write(folder.parent / "film.mp4", MediaSpec(seconds=6.0)).read_bytes()
    for name in NAMES:
        (folder / os.fsdecode(name)).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def model():
    return tiny()


def files_of(folder):
    return sorted(folder.iterdir())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_a_row_for_each_and_goes_on(folder, model, tmp_path, suffix):
    out = tmp_path / f"table{suffix}"
    if suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    files = files_of(folder)
    if suffix == ".csv":
        write_table(model, files[:3], out, model_name="tiny", workers=1)
    counts = write_table(model, files, out, model_name="tiny", workers=1)
    assert counts["failed"] == 0
    assert counts["measured"] + counts["kept"] == len(NAMES)
    assert counts["kept"] == (3 if suffix == ".csv" else 0)
    if suffix == ".csv":
        rows = [row["file"] for row in csv.DictReader(out.open(encoding="utf-8", newline=""))]
    else:
        rows = parquet.read_table(out)["file"].to_pylist()
    assert sorted(rows) == sorted(f"{printable(folder)}/{text}.mp4" for text in NAMES.values())


def test_a_set_has_a_score_for_each(folder, model, tmp_path):
    report = desync(model, pair_by_name(folder), "synchformer", model_name="tiny", out=tmp_path / "set.csv")
    assert {clip.pairing.name: clip.status for clip in report.clips} == dict.fromkeys(NAMES.values(), "ok")
    again = desync(model, pair_by_name(folder), "synchformer", model_name="tiny", out=tmp_path / "set.csv")
    assert again.systems == report.systems


def test_prepared_data_have_a_line_for_each(folder, tmp_path, capsys):
    assert prepare.main([str(folder), str(tmp_path / "out"), "--workers", "0"]) == 0
    entries = Manifest(tmp_path / "out" / "manifest.jsonl").entries
    assert {name: entry.outcome for name, entry in entries.items()} == dict.fromkeys(NAMES.values(), "encoded")
    assert all((tmp_path / "out" / entry.output).is_file() for entry in entries.values())
    assert prepare.main([str(folder), str(tmp_path / "out"), "--workers", "0"]) == 0
    assert "nothing had to be encoded" in capsys.readouterr().out
    assert check.main([f"folder:{tmp_path / 'out'}", "--preset", "mini"]) == 0


def test_outputs_without_a_folder_take_colons(folder, tmp_path):
    """As a person types it, standing in the folder; a colon before any slash is no protocol."""
    (tmp_path / "raw").mkdir()
    name = "2024-05-01T10:00:00.mp4"
    (tmp_path / "raw" / name).write_bytes((folder / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "training.prepare", "raw", "out", "--workers", "0"],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / name).stat().st_size


def test_pictures_show_names_as_they_are(folder, model, tmp_path):
    for path in files_of(folder):
        picture = save(draw_timeline(scan(model, path)), tmp_path / "timeline.svg")
        assert picture.stat().st_size > 1000


@pytest.mark.parametrize("name", ["$x^2_{$ 100%s.mp4", r"caf\xe9.mp4", "$\\frac{$"])
def test_the_figure_of_an_attribution_shows_names_as_they_are(tmp_path, name):
    data = FigureData(name, "", 5.0, np.zeros((3, 8, 8, 3), np.uint8), np.zeros((8, 8), np.float32), (), "", None)
    assert save_figure(data, tmp_path / "figure.png").stat().st_size > 1000
