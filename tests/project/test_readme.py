"""What the README promises."""

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")


def test_the_two_commands_are_on_the_first_screen():
    first_screen = "\n".join(README.splitlines()[:40])
    assert "pip install -r requirements.txt && python app.py" in first_screen
    assert "pip install -r requirements-dev.txt && pytest" in first_screen


def test_the_space_starts_this_app():
    front = dict(re.findall(r"^(\w+): (.+)$", README.split("---")[1], re.M))
    assert front["sdk"] == "gradio"
    assert (ROOT / front["app_file"]).is_file()
    assert f"gradio>={'.'.join(front['sdk_version'].split('.')[:2])}" in (ROOT / "requirements.txt").read_text()
    assert len(front["short_description"]) <= 60


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_has_its_line(package):
    tree = README.split("## Files")[1]
    section = re.search(rf"^{package}/.*?(?=^\w|^```)", tree, re.M | re.S)
    assert section, f"{package}/ is not in the tree"
    missing = (
        {path.name for path in (ROOT / package).glob("*.py")}
        - {"__init__.py"}
        - set(re.findall(r"\w+\.py", section[0]))
    )
    assert not missing or package == "benchmarks", f"{package}: {missing}"


def test_pictures_and_links_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_python_example_runs():
    code = re.search(r"```python\n(.*?)```", README, re.S)[1]
    assert len(code.strip().splitlines()) <= 6
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(r"sound is|no offset|cannot tell", done.stdout)
