"""Whole videos: scan and fix in steps, each in its turn at the accelerator, so that a slider elsewhere still moves."""

from __future__ import annotations

import math
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from interface.accelerator.callback_generator import Report, stepwise
from interface.accelerator.zerogpu import run
from interface.session import limits
from interface.session.errors import PageError, number, page_errors
from interface.session.limits import Range
from interface.session.session import Session
from interface.session.upload_checks import check_file
from interface.session.workspace import Workspace
from synchformer.copies.containers import CONTAINERS
from synchformer.media.probe import MediaInfo
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets import Repair, Timeline, fix
from synchformer.offsets.calibration import EVERY, calibration_of
from synchformer.offsets.scan import REACH, Survey, scan_plan

PATIENCE = 600.0  # s: work that took minutes already waits longer for its turn than a slider does

Result = TypeVar("Result")


@dataclass(frozen=True)
class ScanOptions:
    """What is scanned: seconds between windows and by which the sound is shifted either way, and from when to when.

    `stop` is None for the end.
    """

    every: float = EVERY
    reach: float = REACH
    start: float = 0.0
    stop: float | None = None

    @property
    def covers_all(self) -> bool:
        """Whether this is all of the video."""
        return self.start == 0 and self.stop is None


@dataclass(frozen=True)
class FixOptions:
    """How a video is corrected: see `synchformer.offsets.fix`. `offset` None measures it."""

    offset: float | None = None
    resample: bool = False
    force: bool = False
    reach: float = REACH


@dataclass(eq=False)
class FilmJob:
    """What one visitor asked last; `stop` ends it, and `timeline` is what a scan of all of the video found.

    Kept with the visitor alone. The thread that works reads `stop`; nobody else writes `timeline`.
    """

    path: Path
    model: str
    scan: ScanOptions = field(default_factory=ScanOptions)
    synchronizability: bool = False
    fix: FixOptions | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    timeline: Timeline | None = None


@dataclass(frozen=True)
class Step:
    """How far the work is: its phase (`before`, `writing`, `after`), seconds of the video done, and their total."""

    phase: str
    done: float
    total: float


def read_scan_options(every: object, reach: object, start: object, stop: object) -> ScanOptions:
    """What to scan, from numbers that came from outside; an empty `stop` is the end.

    Raises:
        PageError: for what is no number or out of range.
    """
    begin = _between("start", 0.0 if start is None else start, Range(0, math.inf))
    end = None if stop is None else number("end", stop)
    if end is not None and end <= begin:
        raise PageError(f"The part from {begin:g} s to {end:g} s is empty; choose a later end, or leave it empty.")
    return ScanOptions(
        _between("distance of windows", every, limits.WINDOW_DISTANCE),
        _between("reach", reach, limits.REACH),
        begin,
        end,
    )


def read_fix_options(offset: object, resample: object, force: object, reach: object) -> FixOptions:
    """A correction from values that came from outside; no offset means to measure it.

    Raises:
        PageError: for what is no number or out of range.
    """
    known = None if offset is None else _between("offset", offset, limits.CORRECTION)
    return FixOptions(known, bool(resample), bool(force), _between("reach", reach, limits.REACH))


def _between(name: str, value: object, allowed: Range) -> float:
    seconds = number(name, value)
    if seconds not in allowed:
        low, high = allowed.low, allowed.high
        bounds = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise PageError(f"The {name} must be {bounds} s, not {seconds:g} s.")
    return seconds


def check_film(session: Session, path: Path) -> MediaInfo:
    """What a video holds.

    Raises:
        PageError: when it cannot be measured; one sentence.
    """
    with page_errors(path.name):
        return check_file(path, session.model.config)


def new_survey(
    session: Session, path: Path, options: ScanOptions, synchronizability: Synchformer | None = None
) -> Survey:
    """A scan that has not begun; with a model of `synchronizability`, every window is asked about that too.

    Raises:
        PageError: when the file is no video with sound.
    """
    model = session.model
    with page_errors(path.name):
        plan = scan_plan(model.config, options.every, options.reach, options.start, options.stop)
        return Survey(
            model, path, plan, options.reach, calibration_of(model), synchronizability, session.precision, run
        )


def run_scan(session: Session, survey: Survey) -> Generator[Step, None, None]:
    """Run a scan; its windows so far are in `survey`, also when this is closed before its end.

    Raises:
        PageError: when the file cannot be scanned.
    """
    yield from _in_turns(session.workspace, survey.path.name, partial(_survey, survey))


def _survey(survey: Survey, report: Report) -> None:
    survey.run(lambda done, total: report("before", done, total))


def run_fix(
    session: Session, path: Path, out: Path, options: FixOptions, before: Timeline | None = None
) -> Generator[Step | Repair, None, None]:
    """Write a corrected file and measure it; what was done comes last.

    Raises:
        PageError: when the file cannot be corrected, or the evidence is too weak; one sentence.
    """

    def work(report: Report) -> Repair:
        return fix(
            session.model,
            path,
            out,
            offset=options.offset,
            resample=options.resample,
            force=options.force,
            reach=options.reach,
            precision=session.precision,
            progress=report,
            before=before,
            run=run,
        )

    yield (yield from _in_turns(session.workspace, path.name, work))


def _in_turns(workspace: Workspace, name: str, work: Callable[[Report], Result]) -> Generator[Step, None, Result]:
    with page_errors(name):
        parts, step = stepwise(work), None
        try:
            while True:
                writing = step is not None and step.phase == "writing" and step.done < step.total
                with nullcontext() if writing else _turn(workspace):
                    try:
                        step = Step(*next(parts))
                    except StopIteration as end:
                        result: Result = end.value
                        return result
                yield step
        finally:
            parts.close()


@contextmanager
def _turn(workspace: Workspace) -> Iterator[None]:
    """The accelerator, for which work that others must not lose waits longer than `Workspace.turn`."""
    end = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(workspace.turn())
                break
            except PageError:
                if time.monotonic() > end:
                    raise
        yield


@contextmanager
def own_folder(workspace: Workspace) -> Iterator[Path]:
    """A folder for files that are handed to a visitor; it is removed behind the block."""
    folder = Path(workspace.folder.name) / secrets.token_hex(8)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fixed_name(path: Path) -> str:
    """What the corrected copy of a video is called; of its kind, where that can be written."""
    suffix = path.suffix.lower()
    return f"{path.stem}_fixed{suffix if suffix in CONTAINERS else '.mkv'}"
