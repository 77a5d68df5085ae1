"""The strongest moments: which they are, and that page, report and command name the same."""

import re

import numpy as np
import pytest

from attribution import Settings
from attribution.__main__ import as_text
from attribution.strongest_moments import NONE_CERTAIN, strongest_moments
from interface.export.report import Findings, make_report
from interface.session.examples import UNKNOWN
from interface.views.timeline import attribution_timeline, base_figure_data
from synchformer.config import MINI
from synchformer.media.crop import load_clip
from tests.support.attributions import found_in
from tests.support.flash_click import write_flash_click
from tests.support.predictions import some_prediction

EFFECTS = {  # of units of 0.1 s that begin 0.1 s after the crop: the effect with its interval
    5: (0.90, 0.80, 1.00),
    6: (0.80, 0.70, 0.90),  # a neighbor
    15: (0.95, -0.05, 1.00),  # the highest, but not certain
    20: (0.50, 0.40, 0.60),
    30: (0.40, 0.30, 0.50),
    40: (0.30, 0.20, 0.40),  # one too many
}
STRONGEST = [5, 20, 30]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = write_flash_click(tmp_path_factory.mktemp("moments") / "a.mp4", seconds=10, event=5.0)
    return load_clip(path, 2.0, 0.4, config=MINI)


@pytest.fixture(scope="module")
def attribution(clip):
    """The picture has moments that are certain, the sound has none."""
    attribution = found_in(clip, Settings(samples=100))
    for curve in attribution.curves:
        effect = curve.estimates.effect
        for values, usual in ((effect.value, 0.0), (effect.low, -0.2), (effect.high, 0.2)):
            values[:] = usual
    effect = attribution.curve("video").estimates.effect
    for index, values in EFFECTS.items():
        effect.value[index], effect.low[index], effect.high[index] = values
    return attribution


@pytest.fixture(scope="module")
def clocks(attribution):
    units = attribution.curve("video").units
    return [round(attribution.clock(units[index].middle), 2) for index in STRONGEST]


def test_certain_ones_apart_and_few(attribution):
    moments = strongest_moments(attribution)
    units = attribution.curve("video").units
    assert [each.unit for each in moments["video"]] == [units[index] for index in STRONGEST]
    assert [each.effect for each in moments["video"]] == [0.9, 0.5, 0.4]
    assert moments["video"][0].effect_in_words == "+0.90 (+0.80 to +1.00)"
    assert moments["audio"] == ()


def test_what_is_undefined_is_not_certain(attribution):
    effect = attribution.curve("audio").estimates.effect
    effect.value[0] = effect.low[0] = effect.high[0] = np.nan
    assert strongest_moments(attribution)["audio"] == ()
    effect.value[0], effect.low[0], effect.high[0] = 0.0, -0.2, 0.2


def test_the_page_names_them(attribution, clip, clocks):
    part = attribution_timeline(base_figure_data(clip, UNKNOWN), attribution, "score")
    assert [each["time"] for each in part["moments"]] == clocks
    assert {each["stream"] for each in part["moments"]} == {"video"}
    assert part["uncertain"] == {"audio": NONE_CERTAIN}


def test_the_report_names_them(attribution, clip, clocks):
    text = make_report(Findings("a.mp4", "known answer", clip, some_prediction(applied=0.4), attribution))
    section = text.split("The strongest moments")[1].split("</section>")[0]
    assert [float(value) for value in re.findall(r"<b>([\d.]+) s</b>", section)] == clocks
    seen, heard = section.split("What is heard")
    assert NONE_CERTAIN[1:] in heard
    assert NONE_CERTAIN[1:] not in seen


def test_the_command_names_them(attribution, clocks):
    audio, video = as_text(attribution).split("\n\n")[1:]
    begins = [float(line.split("-")[0]) for line in video.splitlines()[1:]]
    assert [attribution.clock(begin + 0.05) for begin in begins] == pytest.approx(clocks)
    assert audio.splitlines()[1:] == [f"  {NONE_CERTAIN}"]
