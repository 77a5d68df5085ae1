"""A film of which a part could not be measured: what is said, drawn, tabulated and shown, and when `fix` refuses."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from interface.views.film_card import repair_card, scan_card
from interface.views.film_figure import film_figure
from synchformer.inference.coverage import Unmeasured
from synchformer.offsets.plots import draw_timeline
from synchformer.offsets.repair import Correction, Repair, decide
from synchformer.offsets.timeline import Drift, Moment, Piece, Timeline

MUTED = Unmeasured(41.0, 96.0, "no sound")


def timeline(*parts, seconds=130.0, **changes):
    """A film that is 300 ms early throughout."""
    own = (0.28, 0.32)
    moments = tuple(Moment(t, t + 4.8, 0.3, own, 0.9) for t in (0.0, 10.0, 100.0, 120.0))
    whole = Piece(0.0, 124.8, 0.3, own)
    line = Drift(0.3, 0.3, 0.0, (-5.0, 5.0), own)
    plain = Timeline(
        Path("film.mkv"), "mini", seconds, moments, "constant", {"constant": 0.97, "drift": 0.02, "jumps": 0.01}, whole,
        line, (whole,), 0.9, True, "intervals calibrated", 1.0, unmeasured=parts,
    )  # fmt: skip
    return replace(plain, **changes)


def test_every_way_of_telling_says_it():
    film = timeline(MUTED)
    words = "not measured from 41.0 s to 96.0 s: no sound"
    assert film.sentence == f"the sound is 300 ms early throughout (90 % interval: +280 to +320 ms); {words}"
    assert json.loads(json.dumps(film.as_dict()))["unmeasured"] == [{"start": 41.0, "stop": 96.0, "reason": "no sound"}]
    rows = list(csv.DictReader(io.StringIO(film.as_csv())))
    assert [row["not_measured"] for row in rows] == ["", "", "no sound", "", ""]
    assert (rows[2]["start"], rows[2]["offset"]) == ("41.0000", "")
    assert words in scan_card(film, stopped=False)
    (band,) = [patch for patch in draw_timeline(film).axes[0].patches if patch.get_width() == pytest.approx(55.0)]
    assert band.get_x() == pytest.approx(41.0)
    assert "not measured: no sound" in [text.get_text() for text in draw_timeline(film).axes[0].get_legend().texts]
    shapes = film_figure(film.moments, film.span, film)["layout"]["shapes"]
    assert [(shape["x0"], shape["x1"]) for shape in shapes if shape["type"] == "rect"] == [(41.0, 96.0)]


def test_the_span_reaches_over_what_is_missing_at_the_ends():
    assert timeline(Unmeasured(-0.0, 5.0, "no sound"), Unmeasured(124.0, 130.0, "no picture")).span == (0.0, 130.0)


def test_many_parts_are_told_together():
    film = timeline(*(Unmeasured(10.0 * k, 10.0 * k + 1.5, "no sound") for k in range(1, 6)))
    assert film.sentence.endswith("; 5 parts, 7.5 s together, were not measured: no sound")


@pytest.mark.parametrize(("parts", "seconds", "refused"), [
    ((), 130.0, False),
    ((MUTED,), 130.0, True),
    ((Unmeasured(50.0, 58.0, "no sound"),), 130.0, False),
    ((Unmeasured(50.0, 61.0, "no picture"),), 1000.0, True),  # more than 10 s in one piece
    ((Unmeasured(10.0, 14.0, "no sound"), Unmeasured(30.0, 34.0, "no sound")), 60.0, True),  # more than a tenth
    ((Unmeasured(0.0, 45.0, "no sound"),), 130.0, True),  # the sound begins late
])  # fmt: skip
def test_a_relevant_part_stands_against_a_correction(parts, seconds, refused):
    correction, why = decide(timeline(*parts, seconds=seconds), resample=False)
    assert correction.offset == 0.3
    assert (why is not None) == refused
    if refused:
        assert "too much of the video was not measured" in why
        assert "not measured from" in why or "were not measured" in why


def test_a_correction_shows_the_notes_of_both_measurements():
    before, after = (timeline(MUTED, notes=(note,)) for note in ("a.mkv is damaged: 1 packet.", "b.mkv is damaged."))
    made = Repair(Path("a.mkv"), Path("b.mkv"), Correction(0.3), before, after, "forced", ())
    for note in (*before.notes, *after.notes):
        assert note in made.sentence
        assert note in made.as_dict()["notes"]
        assert note[1:] in repair_card(made)  # with a capital
    assert "not measured from 41.0 s to 96.0 s" in repair_card(made)


def test_constant_or_drift_in_words():
    film = timeline(probability={"constant": 0.6, "drift": 0.39, "jumps": 0.01})
    assert film.sentence == (
        "cannot tell a constant offset from a drift: the best guess is that the sound is 300 ms early throughout (90 % "
        "interval: +280 to +320 ms), but a drift between -5.0 and +5.0 ms per minute is possible too (39 %)"
    )
    assert "too little speaks for one of the two" in decide(film, resample=False)[1]


def test_a_jump_too_small_to_place():
    film = timeline(kind="jumps", probability={"constant": 0.0, "drift": 0.0, "jumps": 1.0})
    assert "0 times" not in film.sentence
