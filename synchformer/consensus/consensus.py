"""The tested answer about a clip: the offset that the answers agree on, or that the model does not understand the clip.

>>> from synchformer import load_model
>>> from synchformer.consensus import ask_tested
>>> print(ask_tested(load_model("mini"), "clip.mp4").consensus.sentence)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synchformer.config import Precision
from synchformer.consensus.answers import (
    STARTS,
    Progress,
    Surroundings,
    ask_shifted,
    read_surroundings,
    usual_shifts,
)
from synchformer.consensus.constants import ASSUMED_SHARE, RISK, Statement, statement_of
from synchformer.consensus.features import Evidence, evidence_of
from synchformer.inference.crop_checks import lacks
from synchformer.inference.engine import check_model
from synchformer.inference.prediction import Prediction, offset_in_words
from synchformer.inference.sliding_windows import Window
from synchformer.modeling.synchformer import Synchformer


@dataclass(frozen=True)
class Consensus:
    """What a clip's answers under known shifts of its sound agree on.

    `offset` in seconds (above zero: the sound is early) is the one that most answers support; None where too few could
    be asked. `supported` of the `answerable` places, of `places` in all, lie within a class of it. `starts` were
    measured, of which `agreeing` support it by themselves. `probability` is that of the offset being right to within a
    class; None where no constants exist for the model. `stated` says whether the offset may be stated, at a share of
    `risk` wrong ones. `step` is the width of a class.
    """

    offset: float | None
    supported: int
    answerable: int
    expected: float
    places: int
    starts: int
    agreeing: int
    probability: float | None
    stated: bool
    risk: float
    step: float
    measured: str = ""
    lacks: tuple[str, ...] = ()

    @property
    def exceeds_chance(self) -> bool:
        """Whether more answers support the offset than if they were permuted; never where all answers are one."""
        return self.supported > self.expected + 1

    @property
    def is_contradictory(self) -> bool:
        """Whether most of several starts support another offset by themselves."""
        return self.starts > 1 and 2 * self.agreeing <= self.starts

    @property
    def followed(self) -> str:
        """How far the answer followed the sound, in words."""
        return f"the answer followed the sound in {self.supported} of {self.answerable} places"

    @property
    def sentence(self) -> str:
        """The result in words; a doubt is one about the model."""
        if self.lacks:
            reason = self.lacks[0].split(". ")[0].rstrip(".")
            return f"cannot tell: {reason[0].lower()}{reason[1:]}"
        if self.offset is None:
            return (
                "cannot tell: the answer could not be tested, for there is sound for "
                f"{self.places} of the places only that it would be moved to; a longer clip leaves more room"
            )
        if not self.stated:
            return f"cannot tell: {self.doubt}"
        sure = ""
        if self.probability is not None:
            sure = f"{min(99, round(self.probability * 100))} % sure to within a class; "
        if round(abs(self.offset), 3) < self.step:
            return f"no offset found at this {self.step:.2g} s resolution ({sure}{self.followed})"
        return f"the sound is {offset_in_words(self.offset)} ({sure}{self.followed})"

    @property
    def doubt(self) -> str:
        """Why no offset is stated."""
        if self.is_contradictory:
            return (
                f"{self.followed}, and the {self.starts} parts of the clip that were measured contradict each other; "
                "this model does not understand this clip"
            )
        if 2 * self.supported > self.answerable:
            return f"{self.followed}, but with this model that is not enough to be sure"
        return f"{self.followed}; this model does not understand this clip"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; times in seconds."""
        return {
            "stated": self.stated,
            "stated_offset": self.offset if self.stated else None,
            "supported_offset": self.offset,
            "supported": self.supported,
            "answerable": self.answerable,
            "supported_by_chance": round(self.expected, 2),
            "places": self.places,
            "starts": self.starts,
            "agreeing_starts": self.agreeing,
            "probability_right": self.probability,
            "risk": self.risk if self.measured else None,
            "sentence": self.sentence,
            "calibration": self.note,
        }

    @property
    def note(self) -> str:
        """What a reader must know about the threshold."""
        if self.measured:
            sure = f"{(1 - self.risk) * 100:.0f} %"
            return f"stated only where the probability of being right is at least {sure}, as fitted on {self.measured}"
        return (
            "nothing was measured for this model: an offset is stated where the answer follows the sound in at least "
            f"{ASSUMED_SHARE * 100:.0f} % of the places"
        )


@dataclass(frozen=True)
class Tested:
    """A clip's tested answer, and the single one: the distribution at the first start with the sound where it is.

    `starts` are all that were measured, in seconds; `seconds` is what both took together.
    """

    consensus: Consensus
    single: Prediction
    starts: tuple[float, ...]
    seconds: float = field(default=0.0, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the tested answer, and under `single` the distribution of one answer."""
        names = ("offset", "confidence", "grid", "probabilities", "sentence")
        single = {name: getattr(self.single, name) for name in names}
        return self.consensus.as_dict() | {"single": single, "notes": self.single.notes}


def ask_tested(
    model: Synchformer,
    path: str | Path,
    start: float = 0.0,
    *,
    shifts: Sequence[float] | None = None,
    starts: int = STARTS,
    precision: Precision = "auto",
    progress: Progress | None = None,
    statement: Statement | None = None,
) -> Tested:
    """Measure a file's offset, and test whether the answer follows the sound when that is moved.

    Args:
        model: a Synchformer with the offset head, in evaluation mode.
        path: a video file with sound.
        start: first second of the crop that the single answer is about; the consensus takes others into account.
        shifts: seconds by which the sound is moved; those usual for the model when None.
        starts: of how many starts at most.
        precision: as in `predict`.
        progress: called with the answers that are there and their number.
        statement: constants; those of the model when None.

    Raises:
        MediaError: as `load_clip`.
        ValueError: as `predict`.
    """
    check_model(model, "offset")
    begin = time.perf_counter()
    asked = usual_shifts(model) if shifts is None else tuple(shifts)
    around = read_surroundings(path, model.config, start, max(map(abs, asked)), starts)
    decode = time.perf_counter() - begin
    tested = ask_around(model, around, asked, precision=precision, progress=progress, statement=statement)
    timing = replace(tested.single.timing, decode=decode)
    return replace(tested, single=replace(tested.single, timing=timing), seconds=time.perf_counter() - begin)


def ask_around(
    model: Synchformer,
    around: Surroundings,
    shifts: Sequence[float] | None = None,
    *,
    precision: Precision = "auto",
    progress: Progress | None = None,
    statement: Statement | None = None,
) -> Tested:
    """As `ask_tested`, of what is decoded already."""
    begin = time.perf_counter()
    asked = usual_shifts(model) if shifts is None else shifts
    answers = ask_shifted(model, around, asked, precision=precision, progress=progress)
    missing = lacks(answers.crop)
    single = replace(answers.first, notes=(*answers.crop.notes, *missing))
    consensus = consensus_of(model, answers.windows, missing, statement)
    return Tested(consensus, single, around.starts, time.perf_counter() - begin)


def consensus_of(
    model: Synchformer,
    windows: Sequence[Window],
    lacks: tuple[str, ...] = (),
    statement: Statement | None = None,
) -> Consensus:
    """What the windows of a clip agree on.

    Args:
        model: whose answers they are.
        windows: a window for every start.
        lacks: what the first crop lacks (`crop_checks.lacks`), which is said where no start says anything.
        statement: constants; those of the model when None.
    """
    grid = model.config.grid
    known = statement or statement_of(model)
    evidence = evidence_of(windows, grid)
    places = sum(len(window.shifts) for window in windows)
    if evidence is None:
        why = () if places else lacks
        return Consensus(
            None, 0, 0, 0.0, places, len(windows), 0, None, False, RISK, grid[1] - grid[0],
            known.measured if known else "", why,
        )  # fmt: skip
    return weigh(evidence, grid, known)


def weigh(evidence: Evidence, grid: Sequence[float], statement: Statement | None) -> Consensus:
    """A consensus out of its evidence: stated or not, with its probability."""
    probability = None if statement is None else statement.probability(evidence.features)
    if probability is None or statement is None:
        stated = evidence.supported >= ASSUMED_SHARE * evidence.answerable
    else:
        stated = probability >= statement.threshold
    consensus = Consensus(
        offset=evidence.offset,
        supported=evidence.supported,
        answerable=evidence.answerable,
        expected=evidence.expected,
        places=evidence.places,
        starts=evidence.starts,
        agreeing=evidence.agreeing,
        probability=probability,
        stated=stated,
        risk=statement.risk if statement else RISK,
        step=grid[1] - grid[0],
        measured=statement.measured if statement else "",
    )
    return replace(consensus, stated=stated and consensus.exceeds_chance and not consensus.is_contradictory)
