"""The wheel holds what it promises, and what it holds runs elsewhere with nothing but what it declares."""

import importlib.metadata
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from email.parser import Parser

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import synchformer
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow
EXTRA = {"synchformer": "", "synthetic": "", "attribution": "attribution", "interface": "app", "training": "training"}
WEIGHTS = {
    "mini.safetensors",
    "mini_avclip.safetensors",
    "small.safetensors",
    "mini_synchronizability.safetensors",
    "calibration.json",
    "consensus.json",
}
IMPORT_ALL = """
import importlib, pkgutil, sys
package, *absent = sys.argv[1:]
sys.modules.update(dict.fromkeys(absent))  # None: importing it fails as if it were not installed
for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
    if not module.name.endswith(".__main__"):
        importlib.import_module(module.name)
assert importlib.import_module(package).__file__.startswith(sys.path[1]), importlib.import_module(package).__file__
"""
PREDICT = """
from synchformer import load_clip, load_model, predict
from synchformer.checkpoints.assets import asset
model = load_model("mini")
clip = load_clip(asset("examples") / "hammer.mp4", start=2.0, offset=0.4, config=model.config)
print(predict(model, clip).offset)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, opened."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(*folder.glob("*.whl")) as file:
        yield file


@pytest.fixture(scope="module")
def metadata(wheel):
    """Its METADATA."""
    return Parser().parsestr(wheel.read(f"synchformer-{synchformer.__version__}.dist-info/METADATA").decode())


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder of packages with the wheel in it, away from the checkout."""
    folder = tmp_path_factory.mktemp("site")
    wheel.extractall(folder)
    return folder


def run(site, *arguments):
    """What Python prints that is run away from the checkout."""
    command, environment = [sys.executable, *arguments], elsewhere(site)
    done = subprocess.run(command, cwd=site.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def elsewhere(site):
    """The environment of a process that finds the wheel's packages before everything else."""
    return os.environ | {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(site / ".cache")}


def applies(requirement, *extras):
    """Whether a requirement is one of the base, or of one of some extras."""
    return not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)


def with_all_they_need(requirements):
    """Names of the distributions that are installed for some requirements."""
    names, left = set(), list(requirements)
    while left:
        requirement = left.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key in names:
                continue
            names.add(key)
            further = map(Requirement, importlib.metadata.requires(requirement.name) or [])
            left += [each for each in further if applies(each, extra)]
    return {name for name, _ in names}


def test_files(wheel):
    sources = {path for package in EXTRA for path in (ROOT / package).rglob("*") if path.is_file()}
    sources = {str(path.relative_to(ROOT)) for path in sources if "__pycache__" not in path.parts}
    examples = {f"examples/{path.name}" for path in (ROOT / "assets" / "examples").iterdir()}
    configs = {f"training/configs/{path.name}" for path in (ROOT / "configs").iterdir()}
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == sources | configs | {f"synchformer/assets/{name}" for name in WEIGHTS | examples}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())


def test_metadata(metadata):
    assert metadata["Version"] == synchformer.__version__
    assert {"app", "attribution", "training", "mcp", "parquet", "docs"} == set(metadata.get_all("Provides-Extra"))


@pytest.mark.parametrize("package", EXTRA)
def test_imports_only_what_is_declared(package, metadata, site):
    extras = ("attribution", "app") if EXTRA[package] == "app" else (EXTRA[package],)  # app asks for attribution
    declared = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    there = with_all_they_need(each for each in declared if each.name != "synchformer" and applies(each, *extras))
    providers = importlib.metadata.packages_distributions()
    absent = [name for name, which in providers.items() if not there.intersection(map(canonicalize_name, which))]
    assert "pytest" in absent
    run(site, "-c", IMPORT_ALL, package, *sorted({*absent} - set(EXTRA)))


def test_predicts_elsewhere(site):
    assert float(run(site, "-c", PREDICT)) == pytest.approx(0.4)
    assert "mini-synchronizability" in run(site, "-m", "synchformer", "models")


@pytest.mark.parametrize("module", ["attribution", "synthetic", "interface", "training.run", "training.evaluate"])
def test_commands_are_there(module, site):
    assert "usage: " in run(site, "-m", module, "--help")


def test_the_page_offers_its_examples(site):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "interface", "--port", str(port)]
    with subprocess.Popen(command, cwd=site.parent, env=elsewhere(site), stdout=subprocess.DEVNULL) as server:
        try:
            assert "hammer" in page_at(f"http://127.0.0.1:{port}/config", server)
        finally:
            server.terminate()


def page_at(address, server):
    """What a server that has been started answers, once it does."""
    while True:
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.URLError:
            assert server.poll() is None, "the server ended"
            time.sleep(0.2)
