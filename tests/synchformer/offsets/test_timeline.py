"""Times of a film as people read them."""

import pytest

from synchformer.offsets.timeline import clock


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(7199.7, "2:00:00"), (3661, "1:01:01"), (200, "3:20"), (59.6, "1:00"), (9.52, "0:10"), (0, "0:00")],
)
def test_times_are_written_as_players_write_them(seconds, words):
    assert clock(seconds) == words
