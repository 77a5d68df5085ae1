"""The import graph: who may know whom."""

import ast
import graphlib
import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import grimp
import pytest
from importlinter.cli import lint_imports

import synchformer
from tests.support.paths import ROOT

ALLOWED = {
    "synchformer": set(),
    "synthetic": set(),
    "attribution": {"synchformer", "synthetic"},
    "interface": {"attribution", "synchformer"},
    "training": {"synchformer", "synthetic"},
    "benchmarks": {"attribution", "interface", "synchformer", "synthetic", "training"},
    "app": {"interface"},
}
FILES = sorted(path for name in ALLOWED for path in [*ROOT.glob(f"{name}/**/*.py"), *ROOT.glob(f"{name}.py")])


def imported_packages(path):
    """Top-level names that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the graph"
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_imports_go_one_way(path):
    package = path.relative_to(ROOT).parts[0].removesuffix(".py")
    foreign = {name for name in imported_packages(path) if name in ALLOWED and name != package}
    assert foreign <= ALLOWED[package]
    if package not in ("interface", "app"):
        assert "gradio" not in set(imported_packages(path))


def test_every_package_is_covered():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {path.stem for path in ROOT.glob("*.py")}
    assert packages - {"tests"} <= set(ALLOWED)
    assert len(FILES) > 20


def test_layers_inside_packages(capsys):
    """The contracts in pyproject.toml, each of which pins the order of a package's folders."""
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0, capsys.readouterr().out


def test_no_cycles():
    """Not between modules, facades or packages; imports for type checkers and inside functions count."""
    graph = grimp.build_graph(*(name for name in ALLOWED if name != "app"), cache_dir=None)
    assert len(graph.modules) > 200
    order = graphlib.TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules})
    order.prepare()  # raises CycleError, which names the cycle


def test_nothing_heavy_at_import():
    """Importing the package for its names costs no torch: `synchformer --help` answers at once."""
    code = "import sys, synchformer.cli; sys.exit('gradio' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_package_gives_what_it_names():
    """A module of the same name as a function would take its place once it is imported."""
    for module in pkgutil.iter_modules(synchformer.__path__, "synchformer."):
        if module.name != "synchformer.__main__":
            importlib.import_module(module.name)
    assert not [name for name in synchformer.__all__ if isinstance(getattr(synchformer, name), ModuleType)]
