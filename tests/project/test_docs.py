"""README and documentation against the code: links, commands and their options, modules, figures."""

import importlib
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from functools import cache

import pytest

from benchmarks.measurements import MEASUREMENTS
from benchmarks.results import RESULTS, fingerprint_of, index
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("assets/*.md"), *ROOT.glob("docs/**/*.md")])
LIVING = [page for page in PAGES if page.name != "CHANGELOG.md"]  # the changelog names what was, too
IDS = [str(page.relative_to(ROOT)) for page in LIVING]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
FOLDERS = sorted({path.parent.name for path in ROOT.glob("*/*/__init__.py")})
WITH_COMMANDS = ("synchformer", "training.run")  # whose options depend on a first word
MEASURED = sorted(set(MEASUREMENTS) & {page.stem for page in RESULTS.glob("*.md")})


def text_of(page):
    return re.sub(r"\\\n\s*", " ", page.read_text())


def commands_of(page):
    """(module, arguments) of every `python -m MODULE ...`, also behind torchrun."""
    for line in re.findall(r"(?:python|torchrun[^`\n]*?) -m ([^`\n]+)", text_of(page)):
        words = shlex.split(re.split(r"\s#\s|[|;)…]|&&", line)[0].replace("'", ""), comments=True)
        yield words[0], words[1:]


@cache
def spec_of(module):
    try:
        return importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None


def command_of(module, words):
    """The words that the options of a command depend on."""
    return tuple(words[:1]) if module in WITH_COMMANDS and words and words[0].isalpha() else ()


HELP = """
import contextlib, io, json, runpy, sys
said = []
for module, *words in json.load(sys.stdin):
    sys.argv = [module, *words, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    said.append(out.getvalue())
json.dump(said, sys.stdout)
"""


def options_of(programs):
    """The options that each (module, *words) knows, from its own help; all in one process, which imports torch once."""
    asked = json.dumps(programs)
    done = subprocess.run(
        [sys.executable, "-c", HELP], cwd=ROOT, input=asked, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {
        program: set(re.findall(r"(?<!\w)--?[a-z][\w-]*", said))
        for program, said in zip(programs, json.loads(done.stdout), strict=True)
    }


@pytest.mark.parametrize("page", LIVING, ids=IDS)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", LIVING, ids=IDS)
def test_commands_exist(page):
    missing = {module for module, _ in commands_of(page) if module.split(".")[0] in PACKAGES and not spec_of(module)}
    assert not missing


def test_options_exist():
    given = {}
    for page in LIVING:
        for module, words in commands_of(page):
            if module.split(".")[0] in PACKAGES:
                program = (module, *command_of(module, words))
                options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
                given.setdefault(program, set()).update(options)
    known = options_of(list(given))
    assert not {program: options - known[program] for program, options in given.items() if options - known[program]}


@pytest.mark.parametrize("page", LIVING, ids=IDS)
def test_modules_exist(page):
    """`package.folder.module`, and `folder.module` where the package is clear."""
    missing = set()
    for name in re.findall(r"`([a-z_]+(?:\.[a-z_0-9]+)+)`", page.read_text()):
        first, *rest = name.split(".")
        if first in PACKAGES:
            module = spec_of(name) or hasattr(importlib.import_module(name.rpartition(".")[0]), rest[-1])
            missing |= set() if module else {name}
        elif first in FOLDERS and not any(ROOT.glob(f"*/{first}/{rest[0]}.py")):
            missing.add(name)
    assert not missing


def test_generated_parts_are_what_is_generated():
    """`python docs/hooks/generate.py` writes them."""
    done = subprocess.run(
        [sys.executable, "docs/hooks/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_result_has_its_measurement():
    assert {page.stem for page in RESULTS.glob("*.md")} - {"index"} <= set(MEASUREMENTS)
    assert (RESULTS / "index.md").read_text() == index()


@pytest.mark.parametrize("name", MEASURED)
def test_a_result_is_of_its_commands_and_of_todays_weights(name):
    asked, page = MEASUREMENTS[name], (RESULTS / f"{name}.md").read_text()
    assert page.startswith(f"# {asked.title}\n")
    assert "```bash\n" + "\n".join(asked.commands) + "\n```" in page
    stated = dict(re.findall(r"\| weights of `(.*?)` \| `(.*?)` \|", page))
    assert stated == {weights: fingerprint_of(weights) for weights in asked.weights}


def test_the_site_builds_without_warnings(tmp_path):
    for module in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(module, reason='the documentation needs pip install ".[docs]"')
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
