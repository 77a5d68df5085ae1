"""Whole videos: scan and fix in steps, each in its turn at the accelerator, so that a slider elsewhere still moves."""

from __future__ import annotations

import math
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from interface.accelerator.callback_generator import Tell, stepwise
from interface.accelerator.zerogpu import run
from interface.session import limits
from interface.session.errors import PageError, number, sentences
from interface.session.limits import Range
from interface.session.session import Session
from interface.session.upload_checks import check_file
from interface.session.workspace import Workspace
from synchformer.media.probe import MediaInfo
from synchformer.media.remux import FORMATS
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets import Repair, Timeline, fix
from synchformer.offsets.calibration import calibration_of
from synchformer.offsets.scan import EVERY, REACH, Survey, scan_plan

PATIENCE = 600.0  # s: work that took minutes already waits longer for its turn than a slider does

Result = TypeVar("Result")


@dataclass(frozen=True)
class Part:
    """What is scanned: seconds between windows and by which the sound is shifted either way, and from when to when.

    `stop` is None for the end.
    """

    every: float = EVERY
    reach: float = REACH
    start: float = 0.0
    stop: float | None = None

    @property
    def whole(self) -> bool:
        """Whether this is all of the video."""
        return self.start == 0 and self.stop is None


@dataclass(frozen=True)
class Mending:
    """How a video is corrected: see `synchformer.offsets.fix`. `offset` None measures it."""

    offset: float | None = None
    resample: bool = False
    force: bool = False
    reach: float = REACH


@dataclass(frozen=True)
class Step:
    """How far the work is: its stage (`before`, `writing`, `after`), seconds of the video done, and their total."""

    stage: str
    done: float
    total: float


def read_part(every: object, reach: object, start: object, stop: object) -> Part:
    """A part from numbers that came from outside; an empty `stop` is the end.

    Raises:
        PageError: for what is no number or out of range.
    """
    begin = _between("start", 0.0 if start is None else start, Range(0, math.inf))
    end = None if stop is None else number("end", stop)
    if end is not None and end <= begin:
        raise PageError(f"The part from {begin:g} s to {end:g} s is empty; choose a later end, or leave it empty.")
    return Part(
        _between("distance of windows", every, limits.WINDOW_DISTANCE),
        _between("reach", reach, limits.REACH),
        begin,
        end,
    )


def read_mending(offset: object, resample: object, force: object, reach: object) -> Mending:
    """A correction from values that came from outside; no offset means to measure it.

    Raises:
        PageError: for what is no number or out of range.
    """
    moved = None if offset is None else _between("offset", offset, limits.CORRECTION)
    return Mending(moved, bool(resample), bool(force), _between("reach", reach, limits.REACH))


def _between(name: str, value: object, allowed: Range) -> float:
    seconds = number(name, value)
    if seconds not in allowed:
        low, high = allowed.low, allowed.high
        bounds = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise PageError(f"The {name} must be {bounds} s, not {seconds:g} s.")
    return seconds


def checked(session: Session, path: Path) -> MediaInfo:
    """What a video holds.

    Raises:
        PageError: when it cannot be measured; one sentence.
    """
    with sentences(path.name):
        return check_file(path, session.model.config)


def survey(session: Session, path: Path, part: Part, judge: Synchformer | None = None) -> Survey:
    """A scan that has not begun.

    Raises:
        PageError: when the file is no video with sound.
    """
    model = session.model
    with sentences(path.name):
        plan = scan_plan(model.config, part.every, part.reach, part.start, part.stop)
        return Survey(model, path, plan, part.reach, calibration_of(model), judge, session.precision, run)


def scanning(session: Session, asked: Survey) -> Generator[Step, None, None]:
    """Run a scan; what it found so far is in `asked`, also when this is closed before its end.

    Raises:
        PageError: when the file cannot be scanned.
    """
    work = partial(_run, asked)
    yield from _in_turns(session.workspace, asked.path.name, work)


def _run(asked: Survey, tell: Tell) -> None:
    asked.run(lambda done, total: tell("before", done, total))


def mending(
    session: Session, path: Path, out: Path, how: Mending, before: Timeline | None = None
) -> Generator[Step | Repair, None, None]:
    """Write a corrected file and measure it; what was done comes last.

    Raises:
        PageError: when the file cannot be corrected, or the evidence is too weak; one sentence.
    """

    def work(tell: Tell) -> Repair:
        return fix(
            session.model,
            path,
            out,
            offset=how.offset,
            resample=how.resample,
            force=how.force,
            reach=how.reach,
            precision=session.precision,
            progress=tell,
            before=before,
            run=run,
        )

    yield (yield from _in_turns(session.workspace, path.name, work))


def _in_turns(workspace: Workspace, name: str, work: Callable[[Tell], Result]) -> Generator[Step, None, Result]:
    with sentences(name):
        parts, step = stepwise(work), None
        try:
            while True:
                writing = step is not None and step.stage == "writing" and step.done < step.total
                with nullcontext() if writing else _turn(workspace):
                    try:
                        step = Step(*next(parts))
                    except StopIteration as end:
                        found: Result = end.value
                        return found
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
    return f"{path.stem}_fixed{suffix if suffix in FORMATS else '.mkv'}"


def told(found: Timeline) -> dict[str, Any]:
    """A timeline as plain values; where the file lies on this computer is nobody's business."""
    return found.as_dict() | {"video": found.path.name}
