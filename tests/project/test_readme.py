"""What the README promises."""

import re
import subprocess
import sys

from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()
FIRST_SCREEN = "\n".join(README.splitlines()[:40])


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_the_two_commands_are_on_the_first_screen():
    assert "pip install -r requirements.txt && python app.py" in FIRST_SCREEN
    assert "pip install -r requirements-dev.txt && pytest" in FIRST_SCREEN


def test_the_first_screen_says_what_it_is_not_for():
    assert "Not for real footage" in FIRST_SCREEN
    assert "$ python -m synchformer predict" in FIRST_SCREEN


def test_the_space_starts_this_app():
    front = dict(re.findall(r"^(\w+): (.+)$", README.split("---")[1], re.M))
    assert front["sdk"] == "gradio"
    assert (ROOT / front["app_file"]).is_file()
    assert f"gradio>={'.'.join(front['sdk_version'].split('.')[:2])}" in (ROOT / "requirements.txt").read_text()
    assert len(front["short_description"]) <= 60


def test_what_a_command_prints_is_what_it_printed():
    """The output stands on a page of results too, which says when it was printed."""
    command, *printed = re.search(r"```console\n\$ (.*?)```", README, re.S)[1].strip("\n").splitlines()
    page = (ROOT / "docs" / "results" / "examples.md").read_text()
    assert command in page
    assert "\n".join(printed) in page


def test_figures_come_from_cards_and_results():
    """No figure but those of the real clips, which cannot be given away, stands here alone."""
    sources = [*(ROOT / "docs" / "results").glob("*.md"), *(ROOT / "assets").glob("*.md"), ROOT / "docs" / "models.md"]
    known = set(re.findall(r"\d+\.\d+ ?%", "\n".join(path.read_text() for path in sources)))
    assert set(re.findall(r"\d+\.\d+ %", README)) <= known


def test_the_python_example_runs():
    code = re.search(r"```python\n(.*?)```", README, re.S)[1]
    assert len(code.strip().splitlines()) <= 6
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(r"sound is|no offset|cannot tell", done.stdout)
