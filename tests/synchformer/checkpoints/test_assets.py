"""Where embedded files lie: asked in one place, in a checkout and in an installed package."""

import re

from synchformer.checkpoints import assets
from tests.support.paths import ROOT

OWNER = "synchformer/checkpoints/assets.py"


def test_no_other_module_looks_for_embedded_files():
    files = [ROOT / "app.py"]
    for package in ("attribution", "benchmarks", "interface", "synchformer", "synthetic", "training"):
        files += (ROOT / package).rglob("*.py")
    there = [path for path in files if re.search(r"""/ ["']assets""", path.read_text())]
    assert [path.relative_to(ROOT).as_posix() for path in there] == [OWNER]


def test_beside_a_checkout_or_inside_a_package(tmp_path, monkeypatch):
    assert assets.asset("examples") == ROOT / "assets" / "examples"
    monkeypatch.setattr(assets, "PACKAGE", tmp_path / "synchformer")
    assert assets.asset("mini.md") == tmp_path / "assets" / "mini.md", "named whether it exists or not"
    (tmp_path / "synchformer" / "assets").mkdir(parents=True)
    (tmp_path / "synchformer" / "assets" / "mini.md").touch()
    assert assets.asset("mini.md") == tmp_path / "synchformer" / "assets" / "mini.md"
