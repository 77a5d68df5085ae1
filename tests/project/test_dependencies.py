"""Packages import what pyproject.toml declares for them, and no more is declared than is imported."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
# Which extras a package may import from, beside the base.
PACKAGES = {
    "synchformer": ("parquet",),
    "synthetic": (),
    "attribution": ("attribution",),
    "interface": ("app",),
    "training": ("training",),
    "benchmarks": ("app", "dev"),
    "tests": (*EXTRAS, "dev"),
}
OWN = {*PACKAGES, "app"}
GIVEN = {"spaces"}  # ZeroGPU's package, which is there on such a Space and looked for nowhere else
UNNAMED = {
    "tensorboard",  # torch.utils.tensorboard imports it
    "mcp",  # gradio imports it
}


def canonical(name):
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(group):
    """Distributions of one extra, those of the extras that it refers to, and of the base."""
    lists = EXTRAS | {"": PROJECT["project"]["dependencies"], "dev": PROJECT["dependency-groups"]["dev"]}
    names = set(declared("")) if group else set()
    for requirement in lists[group]:
        name, _, others = re.match(r"([\w.-]+)(\[([\w,]+)\])?", requirement).groups()
        if name == "synchformer":
            names = names.union(*(declared(other) for other in others.split(",")))
        else:
            names.add(canonical(name))
    return names


@cache
def providers():
    """The distributions that provide each importable name."""
    return packages_distributions()


@cache
def imported(package):
    """Distributions that a package imports, also inside functions, with the files that do."""
    distributions, files = providers(), {}
    for path in ROOT.glob(f"{package}/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in {name.split(".")[0] for name in names} - OWN - GIVEN - sys.stdlib_module_names:
                for distribution in distributions[name]:
                    files.setdefault(canonical(distribution), set()).add(str(path.relative_to(ROOT)))
    return files


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_are_declared(package):
    allowed = declared("").union(*(declared(extra) for extra in PACKAGES[package]))
    assert not {name: files for name, files in imported(package).items() if name not in allowed}


def test_nothing_is_declared_for_nobody():
    """Extras with what the packages of the wheel import; `docs` and `dev` are programs."""
    everything = set().union(*(declared(extra) for extra in EXTRAS if extra != "docs"))
    used = set().union(*(imported(package) for package in PACKAGES if package not in ("tests", "benchmarks")))
    assert everything - used == UNNAMED


def test_one_range_for_each():
    """Where two extras ask for one distribution, they ask for the same releases."""
    groups = [PROJECT["project"]["dependencies"], *EXTRAS.values(), PROJECT["dependency-groups"]["dev"]]
    ranges = {}
    for line in (line for group in groups for line in group):
        ranges.setdefault(canonical(re.match(r"[\w.-]+", line)[0]), set()).add(line)
    assert not {name: asked for name, asked in ranges.items() if len(asked) > 1 and name != "synchformer"}


def test_requirements_files_are_what_pyproject_says():
    command = [sys.executable, ".ci/requirements.py", "--check"]
    check = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr
