"""Write the figures of the documentation: run the commands of a page, keep what they print.

python -m benchmarks.results                      # which pages there are, how long they take, and which are missing
python -m benchmarks.results examples accuracy    # run their commands, write docs/results/examples.md and accuracy.md

Every page says the commands, what they printed, when and on which machine, and the fingerprints of the weights.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from benchmarks.measurements import MEASUREMENTS, Measurement
from synchformer.storage.atomic import atomic_write

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
MINUTES_AN_HOUR = 60


class FailedError(RuntimeError):
    """A command that did not end well; says which, and with what status."""


def main(argv: list[str] | None = None) -> int:
    """Write the pages that are named, or list all; returns the exit status: 1 when a command failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="pages to write anew (default: list all of them)")
    names = parser.parse_args(argv).names
    if unknown := set(names) - set(MEASUREMENTS):
        parser.error(f"there is no page named {', '.join(sorted(unknown))}; choose from {', '.join(MEASUREMENTS)}")
    if not names:
        print("\n".join(overview()))
        return 0
    for name in names:
        print(f"{name}: about {_length(MEASUREMENTS[name].minutes)} on two idle cores", file=sys.stderr, flush=True)
        try:
            page = measure(MEASUREMENTS[name])
        except FailedError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        write(RESULTS / f"{name}.md", page)
        write(RESULTS / "index.md", index())
    return 0


def overview() -> Iterator[str]:
    """A line for each page: its name, how long it takes, what it needs, and when it was written."""
    width = max(map(len, MEASUREMENTS))
    for name, asked in MEASUREMENTS.items():
        written = measured_on(RESULTS / f"{name}.md") or "not written"
        needs = f"; needs {asked.needs}" if asked.needs else ""
        yield f"{name:{width}}  {written}  {_length(asked.minutes):>8}  {asked.title}{needs}"


def measure(asked: Measurement) -> str:
    """Run the commands of a page and return it as Markdown.

    Raises:
        FailedError: when a command fails; nothing is written then.
    """
    before = _child_seconds()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(asked.commands)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise FailedError(f"the commands ended with status {done.returncode}; nothing was written")
    return page(asked, done.stdout, circumstances(asked.weights, _child_seconds() - before))


def page(asked: Measurement, printed: str, facts: dict[str, str]) -> str:
    """The page of a measurement: what it is about, the commands, what they printed, and under which circumstances."""
    needs = f"\n\nNeeds {asked.needs}." if asked.needs else ""
    commands = "\n".join(asked.commands)
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return (
        f"# {asked.title}\n\n{asked.about}{needs}\n\n```bash\n{commands}\n```\n\n{as_markdown(printed)}\n\n"
        f"## Circumstances\n\n| | |\n|---|---|\n{rows}\n"
    )


def as_markdown(printed: str) -> str:
    """What a command printed: its tables as they are, everything else set as code."""
    parts = []
    for is_table, group in groupby(printed.splitlines(), key=lambda line: line.startswith("|")):
        text = "\n".join(line.rstrip() for line in group).strip("\n")
        if text:
            parts.append(text if is_table else f"```text\n{text}\n```")
    return "\n\n".join(parts)


def circumstances(weights: Sequence[str], seconds: float) -> dict[str, str]:
    """When, on what, with which versions and weights; `seconds` are those of all processors together."""
    facts = {
        "measured": date.today().isoformat(),
        "machine": machine(),
        "software": f"Python {platform.python_version()}, torch {version('torch')}",
        "processor time": _length(seconds / 60),
    }
    return facts | {f"weights of `{name}`": f"`{fingerprint_of(name)}`" for name in weights}


def machine() -> str:
    """The processors of this machine, and its GPUs."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    names = {line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")}
    processor = ", ".join(sorted(names)) or platform.processor() or platform.machine()
    return f"{os.cpu_count()} cores of {processor}; {', '.join(gpus) or 'no GPU'}"


def fingerprint_of(name: str) -> str:
    """The fingerprint of a checkpoint's weights.

    Raises:
        ValueError: for a name that nothing is known by.
    """
    from synchformer.checkpoints.fingerprint import fingerprint
    from synchformer.checkpoints.registry import load_stage

    return fingerprint(load_stage(name, "cpu"))


def index() -> str:
    """The list of the pages that were written."""
    rows = [
        f"| [{asked.title}]({name}.md) | {measured_on(RESULTS / f'{name}.md')} | `{name}` |"
        for name, asked in MEASUREMENTS.items()
        if (RESULTS / f"{name}.md").exists()
    ]
    table = "\n".join(["| page | measured | name |", "|---|---|---|", *rows])
    return (
        "# Results\n\nEvery page holds what the commands on it printed, when, and on which machine. Figures of "
        "embedded weights carry the weights' fingerprint; the tests compare it with the weights that are embedded now."
        "\n\n```bash\npython -m benchmarks.results        # the pages, and how long they take\n"
        f"python -m benchmarks.results NAME   # run the commands of a page and write it anew\n```\n\n{table}\n"
    )


def measured_on(path: Path) -> str | None:
    """The date on a page; None without a page."""
    if not path.exists():
        return None
    return next((line.split("|")[2].strip() for line in path.read_text().splitlines() if "| measured |" in line), None)


def write(path: Path, text: str) -> None:
    """Write a page whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        part.write_text(text)


def _length(minutes: float) -> str:
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.0f} min" if minutes < MINUTES_AN_HOUR else f"{minutes / MINUTES_AN_HOUR:.1f} h"


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_lines() -> list[str]:
    place = Path("/proc/cpuinfo")
    return place.read_text().splitlines() if place.exists() else []


if __name__ == "__main__":
    sys.exit(main())
