"""Commands at terminals that take ASCII alone, and whose readers leave: as a shell starts them."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.support.media import MediaSpec, write
from tests.support.paths import ROOT

COMMANDS = {
    "help": ["synchformer", "--help"],
    "models": ["synchformer", "models"],
    "predict": ["synchformer", "predict", "{video}", "{video}", "--json"],
    "scan": ["synchformer", "scan", "{video}", "--json"],
    "attribution": ["attribution", "{video}", "--samples", "16"],
    "check": ["training.check", "folder:{folder}", "--preset", "mini", "--headers"],
    "train": ["training.run", "sync", "--help"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    write(folder / "film.mp4", MediaSpec(seconds=6.0))
    return folder


def started(arguments, folder, **environment):
    filled = [each.format(video=folder / "film.mp4", folder=folder) for each in arguments]
    return subprocess.Popen(
        [sys.executable, "-m", *filled],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
    )


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("name", ["help", "models", "predict"])
def test_nobody_reads_on(name, folder, buffered):
    """As `| head -c 0`: no traceback, and the status that SIGPIPE has in a shell."""
    process = started(COMMANDS[name], folder, PYTHONUNBUFFERED=buffered)
    process.stdout.close()
    errors = process.stderr.read().decode()
    assert process.wait() == 141
    assert not errors


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_nobody_reads_on_whatever_the_command(name, folder):
    process = started(COMMANDS[name], folder)
    process.stdout.close()
    errors = process.stderr.read().decode()
    assert process.wait() == 141
    assert "Traceback" not in errors
    assert "Broken pipe" not in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii:strict"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["strict", "C"],
)
def test_a_terminal_that_takes_ascii_alone(folder, tmp_path, environment):
    name = os.fsdecode(b"caf\xe9 \xc3\xbc.mp4")
    shutil.copy(folder / "film.mp4", tmp_path / name)
    for extra in ([], ["--json"]):
        process = started(["synchformer", "predict", str(tmp_path / name), *extra], folder, **environment)
        output, errors = process.communicate()
        assert (process.returncode, errors) == (0, b"")
        assert output.isascii()
        assert rb"caf\xe9" in output.replace(rb"\\", b"\\")
