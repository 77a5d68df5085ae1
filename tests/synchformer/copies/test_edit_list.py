"""Rows of edits, worked out by hand: movie of 1000 ticks a second, media of 48,000."""

import pytest

from synchformer.copies.edit_list import EMPTY, Edit, moved_earlier, moved_later

LATE, FIRST, SECOND = Edit(500, EMPTY), Edit(1000, 1024), Edit(2000, 144_000)


@pytest.mark.parametrize(
    ("ticks", "left"),
    [
        (200, [Edit(300, EMPTY), FIRST, SECOND]),
        (500, [FIRST, SECOND]),
        (750, [Edit(750, 1024 + 12_000), SECOND]),
        (1500, [SECOND]),
        (3499, [Edit(1, 144_000 + 1999 * 48)]),
        (3500, []),
        (9000, []),
    ],
)
def test_what_lies_before_the_cut_is_not_shown(ticks, left):
    assert moved_earlier([LATE, FIRST, SECOND], ticks, 1000, 48_000) == left


def test_nothing_is_shown_before_a_later_start():
    assert moved_later([FIRST, SECOND], 300) == [Edit(300, EMPTY), FIRST, SECOND]
    assert moved_later([LATE, FIRST], 300) == [Edit(800, EMPTY), FIRST]
