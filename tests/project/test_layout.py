"""Folders and files stay small enough to be understood at once; tests share through tests/support alone."""

import ast

import pytest

from tests.support.paths import ROOT, TESTS

PACKAGES = sorted(path.parent for path in ROOT.glob("*/__init__.py") if path.parent != TESTS)
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
TEST_MODULES = sorted(path for path in TESTS.rglob("*.py") if TESTS / "support" not in path.parents)


def test_files_stay_readable():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in [*MODULES, ROOT / "app.py"]}
    assert len(long) > 200
    assert not {name: lines for name, lines in long.items() if lines > 400}


def test_folders_stay_small():
    """At most twelve modules in a folder, at most two folders deep."""
    folders = [path.parent for path in MODULES if path.name != "__init__.py"]
    crowded = {str(folder.relative_to(ROOT)): folders.count(folder) for folder in folders}
    assert not {name: count for name, count in crowded.items() if count > 12}
    assert not [name for name in crowded if name.count("/") > 1]


@pytest.mark.parametrize("path", TEST_MODULES, ids=[str(path.relative_to(TESTS)) for path in TEST_MODULES])
def test_no_test_imports_another(path):
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module if isinstance(node, ast.ImportFrom) else alias.name for node in nodes for alias in node.names]
    assert not [name for name in names if name.startswith("tests.") and not f"{name}.".startswith("tests.support.")]


def test_tests_mirror_the_source():
    """A folder of tests has the name of the folder whose modules it tests, or of what it tests as a whole."""
    wholes = {"project", "parity", "browser", "support", "fixtures", "screenshots"}
    folders = {path.parent.relative_to(TESTS) for path in TEST_MODULES if path.parent != TESTS}
    assert not [str(folder) for folder in folders if folder.parts[0] not in wholes and not (ROOT / folder).is_dir()]
