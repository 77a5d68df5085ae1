"""Write the parts of the documentation that follow from the code: the tree of files, and the layers of the packages.

python docs/hooks/generate.py            # write docs/files.md and docs/architecture.md
python docs/hooks/generate.py --check    # write nothing; exit status 1 when a page is not what would be written
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PLACES = ("app.py", "interface", "attribution", "synchformer", "training", "synthetic", "benchmarks")
COLUMN = 40  # where the texts of the tree begin


def main(argv: list[str]) -> int:
    """Write the pages, or with `--check` compare them; returns the exit status."""
    outdated = {path: text for path, text in pages().items() if path.read_text() != text}
    for path, text in outdated.items():
        sys.stdout.write(f"{path.relative_to(ROOT)} {'is out of date' if '--check' in argv else 'written'}\n")
        if "--check" not in argv:
            path.write_text(text)
    return int("--check" in argv and bool(outdated))


def pages() -> dict[Path, str]:
    """The pages with generated parts, as they should be."""
    parts = {"files.md": ("tree", tree()), "architecture.md": ("layers", layers())}
    docs = ROOT / "docs"
    return {docs / name: with_part((docs / name).read_text(), *part) for name, part in parts.items()}


def with_part(page: str, name: str, text: str) -> str:
    """A page with another text between its marks `<!-- name -->` and `<!-- end -->`."""
    mark, end = f"<!-- {name} -->", "<!-- end -->"
    before, _, rest = page.partition(mark)
    _, _, after = rest.partition(end)
    return f"{before}{mark}\n\n```text\n{text}\n```\n\n{end}{after}"


def tree() -> str:
    """Every module and folder with the first line of its docstring."""
    return "\n".join(line for place in PLACES for line in lines_of(ROOT / place))


def layers() -> str:
    """The layers of import-linter's contracts, from the highest to the lowest; imports go down only."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    blocks = []
    for contract in contracts:
        if contract["type"] == "layers":
            blocks.append("\n  ".join([contract["name"], *contract["layers"]]))
    return "\n\n".join(blocks)


def lines_of(path: Path, depth: int = 0) -> Iterator[str]:
    """A line for a file, or for a folder and everything in it: files first, then folders."""
    if path.is_file():
        yield _line(path.name, first_line(path), depth)
        return
    yield _line(f"{path.name}/", first_line(path / "__init__.py"), depth)
    for file in sorted(path.glob("*.py")):
        if file.name != "__init__.py":
            yield _line(file.name, first_line(file), depth + 1)
    for folder in sorted(each.parent for each in path.glob("*/__init__.py")):
        yield from lines_of(folder, depth + 1)


def first_line(path: Path) -> str:
    """The first line of a module's docstring, without its full stop.

    Raises:
        ValueError: when it has none.
    """
    text = ast.get_docstring(ast.parse(path.read_text()))
    if not text:
        raise ValueError(f"{path.relative_to(ROOT)} has no docstring; say in its first line what it holds")
    return text.splitlines()[0].rstrip(".")


def _line(name: str, text: str, depth: int) -> str:
    return f"{'  ' * depth + name:{COLUMN}} {text}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
