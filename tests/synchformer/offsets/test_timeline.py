"""What a scan found, as people read it."""

from pathlib import Path

import pytest

from synchformer.offsets.timeline import Drift, Moment, Piece, Timeline, clock


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(7199.7, "2:00:00"), (3661, "1:01:01"), (200, "3:20"), (59.6, "1:00"), (9.52, "0:10"), (0, "0:00")],
)
def test_times_are_written_as_players_write_them(seconds, words):
    assert clock(seconds) == words


def jumping(count):
    """A film of ten minutes for which jumps are the likeliest explanation, with as many stretches."""
    pieces = tuple(Piece(60.0 * k, 60.0 * (k + 1), 0.1 * k, (0.1 * k - 0.02, 0.1 * k + 0.02)) for k in range(count))
    return Timeline(
        path=Path("film.mkv"),
        model="mini",
        seconds=600.0,
        moments=(Moment(0.0, 5.0, 0.0, (-0.1, 0.1), 0.9),),
        kind="jumps",
        probability={"constant": 0.02, "drift": 0.02, "jumps": 0.96},
        whole=Piece(0.0, 600.0, 0.123, (0.1, 0.15)),
        drift=Drift(0.0, 0.0, 0.0, (-1.0, 1.0), (0.0, 0.1)),
        pieces=pieces,
        level=0.9,
        calibrated=True,
        calibration_note="",
        took=1.0,
    )


@pytest.mark.parametrize(
    ("stretches", "words"),
    [
        (2, "the offset jumps once: the sound is"),
        (3, "the offset jumps 2 times: "),
        (12, "the offset jumps 11 times: "),
    ],
)
def test_jumps_are_counted_in_words(stretches, words):
    assert jumping(stretches).sentence.startswith(words)
    assert jumping(stretches).is_conclusive


def test_a_jump_that_is_nowhere_is_not_counted():
    timeline = jumping(1)
    assert not timeline.is_conclusive
    assert timeline.sentence.startswith("cannot tell: the best guess is that the offset jumps, but where is not clear")
    assert timeline.sentence.endswith("123 ms early")
