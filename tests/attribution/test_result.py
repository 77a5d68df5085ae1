"""What an attribution says in words about the two peaks."""

import pytest

from attribution import Attribution, Settings
from attribution.scoring.decision import Target
from synchformer.config import MINI
from tests.support.attributions import found_in


class FakeClip:
    config, path, start, offset, video_start, audio_start = MINI, "a.mp4", 2.0, 0.4, 2.0, 2.4


def peaking(seen: float, heard: float, target: Target) -> Attribution:
    """An attribution whose curves peak at the units around two moments of the crop."""
    found = found_in(FakeClip(), Settings(samples=100))
    for curve in found.curves:
        moment = seen if curve.modality == "video" else heard
        unit = next(i for i, unit in enumerate(curve.units) if unit.begin <= moment < unit.end)
        curve.estimates.effect.value[:] = 0.0
        curve.estimates.effect.value[unit] = 1.0
    return type(found)(**{**vars(found), "target": target})


@pytest.mark.parametrize(
    ("seen", "heard", "apart"),
    [(2.45, 2.05, False), (2.45, 1.75, False), (2.45, 1.65, True), (2.45, 2.45, True), (4.05, 1.05, True)],
)
def test_peaks_of_two_events_are_told(seen, heard, apart):
    """Sound that runs 0.4 s ahead is heard 0.4 s before it is seen, within 0.35 s."""
    found = peaking(seen, heard, Target((12,), 0.4, "prediction", 12))
    assert found.apart == apart
    assert found.sentence.endswith(", which are two different events") == apart


def test_files_keep_their_names_of_settings():
    """What was saved before a setting got another name can be compared with what is saved today."""
    settings = found_in(FakeClip(), Settings(samples=100, unit_seconds=0.2)).as_json()["settings"]
    assert settings["chunk"] == 0.2
    assert list(settings)[:6] == ["samples", "modalities", "together", "level", "chunk", "keep"]


def test_without_an_offset_nothing_is_said_of_two_events():
    assert not peaking(0.5, 4.0, Target((1,), None, "prediction", 1)).apart
