"""Write requirements.txt and requirements-dev.txt from pyproject.toml, which owns every requirement.

python .ci/requirements.py           # write both
python .ci/requirements.py --check   # exit with 1 and name the file when one is not what pyproject.toml says

The two files are for `pip install -r` in a checkout: a Space on Hugging Face reads requirements.txt alone, before
anything else of the repository is there, so that it must be complete in itself.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
CHECKOUT = ("attribution", "app", "training")  # extras of requirements.txt; all others are for development
HEADER = "# Written from pyproject.toml by `make requirements`; change it there."


def main(argv: list[str] | None = None) -> int:
    """Write the files, or compare them with what would be written."""
    parser = argparse.ArgumentParser(description="Write the requirements files from pyproject.toml.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is out of date")
    check = parser.parse_args(argv).check
    outdated = [name for name, text in files().items() if (ROOT / name).read_text() != text]
    if check and outdated:
        print(f"{' and '.join(outdated)} differ from pyproject.toml: run `make requirements`", file=sys.stderr)
        return 1
    for name in outdated:
        (ROOT / name).write_text(files()[name])
    return 0


def files() -> dict[str, str]:
    """The text of each requirements file, by its name."""
    further = [name for name in EXTRAS if name not in CHECKOUT]
    groups = {"": PROJECT["project"]["dependencies"]} | {f"[{name}]": EXTRAS[name] for name in CHECKOUT}
    development = {f"[{name}]": EXTRAS[name] for name in further} | {"dev": PROJECT["dependency-groups"]["dev"]}
    first = "# What `python app.py` and every other command of this checkout need."
    second = "# What the tests, the linters and the documentation need besides."
    return {
        "requirements.txt": "\n".join([HEADER, first, *_sections(groups), ""]),
        "requirements-dev.txt": "\n".join([HEADER, second, "-r requirements.txt", *_sections(development), ""]),
    }


def _sections(groups: dict[str, list[str]]) -> list[str]:
    """One line for each requirement, under the name of the group that asks for it first."""
    lines: list[str] = []
    for name, requirements in groups.items():
        new = [each for each in requirements if each not in lines and not each.startswith("synchformer[")]
        lines += [f"# {name}"] * bool(name and new) + new
    return lines


if __name__ == "__main__":
    sys.exit(main())
