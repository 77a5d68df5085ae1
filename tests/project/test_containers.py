"""The container file copies what the page needs."""

import json
import re

import grimp

from tests.support.paths import ROOT

CONTAINER = (ROOT / "Containerfile").read_text()
COPIED = {name for line in re.findall(r"^COPY (.+) \S+$", CONTAINER, re.M) for name in line.split()}


def test_what_is_copied_is_there_and_not_ignored():
    first, *others = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] in "*!"]
    assert first == "*"
    assert {line[1:] for line in others if line[0] == "!"} == COPIED
    assert all((ROOT / name).exists() for name in COPIED)


def test_everything_that_the_page_imports_is_copied():
    graph = grimp.build_graph("attribution", "interface", "synchformer", "synthetic", "training", cache_dir=None)
    modules = {"interface.__main__", *graph.find_upstream_modules("interface.__main__")}
    assert {name.split(".")[0] for name in modules} | {"app.py", "assets", "requirements.txt"} <= COPIED


def test_the_development_container_calls_the_makefile():
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    target = settings["postCreateCommand"].removeprefix("make ")
    assert target in re.search(r"^JOBS := (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert settings["containerEnv"]["PYTHON"] in CONTAINER.replace("python:", "python")
