"""The figure: one description, drawn for files and for the page."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attribution.figures.figure_data import COLORS, FigureData, Line, make_figure_data
from attribution.figures.matplotlib_figure import save_figure
from attribution.figures.plotly_figure import plot


@pytest.fixture
def figure_data():
    times = np.linspace(0.15, 4.85, 48)
    value = 0.5 + 0.4 * np.exp(-(((times - 3) / 0.2) ** 2))
    low, high = value - 0.05, value + 0.05
    value[4], low[4], high[4] = np.nan, 0.0, np.inf  # a unit that no mask has judged
    lines = tuple(Line(modality, times, value, low, high, 0.5) for modality in COLORS)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (15, 32, 32, 3), dtype=np.uint8)
    spectrogram = rng.normal(size=(128, 500)).astype(np.float32)
    return FigureData("Title", "note", 5.0, frames, spectrogram, lines, "label", 0.4, seen=(3.0,), heard=(2.6,))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture_shows_the_curves_in_their_colors(figure_data, tmp_path, theme):
    path = save_figure(figure_data, tmp_path / "a.png", theme=theme)
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)
    wanted = {"light": ["#3d52d5", "#c2410c"], "dark": ["#8c9eff", "#fb923c"]}[theme]
    for color in wanted:
        rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels - rgb).sum(1) < 12).sum() > 200


def test_other_formats_and_wrong_names(figure_data, tmp_path):
    assert save_figure(figure_data, tmp_path / "a.svg").read_text().startswith("<?xml")
    assert save_figure(figure_data, tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ValueError, match=r"a\.gif"):
        save_figure(figure_data, tmp_path / "a.gif")
    with pytest.raises(ValueError, match="light, dark"):
        save_figure(figure_data, tmp_path / "a.png", theme="pink")


def test_the_page_gets_plain_json(figure_data):
    figure = json.loads(json.dumps(plot(figure_data), allow_nan=False))
    curves = [trace for trace in figure["data"] if trace.get("mode") == "lines" and "fill" not in trace]
    assert [trace["yaxis"] for trace in curves] == ["y", "y2"]
    assert curves[0]["y"][4] is None
    assert len(figure["layout"]["images"]) == 2
    assert sum(shape["line"].get("dash") == "dot" for shape in figure["layout"]["shapes"]) == 2
    assert len(json.dumps(figure)) < 400_000
    assert plot(figure_data, pictures=False)["layout"]["images"] == []


def test_heat_is_the_curve_again(figure_data):
    heat = [trace for trace in plot(figure_data)["data"] if trace["type"] == "heatmap"]
    assert [trace["yaxis"] for trace in heat] == ["y3", "y4"]
    for trace in heat:
        assert trace["x"][int(np.argmax(trace["z"][0]))] == pytest.approx(3.0, abs=0.06)
        assert (min(trace["z"][0]), max(trace["z"][0])) == (0, 1)


def test_everything_stands_on_the_files_clock(figure_data):
    figure = plot(replace(figure_data, begin=2.0, segments=((0.08, 0.72), (0.4, 1.04))), pictures=False)
    assert figure["layout"]["xaxis"]["range"] == [2.0, 7.0]
    shapes = {shape["name"]: shape["x0"] for shape in figure["layout"]["shapes"] if "name" in shape}
    assert (shapes["seen"], shapes["heard"]) == (5.0, 4.6)
    assert min(s["x0"] for s in figure["layout"]["shapes"] if s["name"] == "segment") == pytest.approx(2.09)
    curve = next(trace for trace in figure["data"] if trace.get("mode") == "lines" and "fill" not in trace)
    assert curve["x"][0] == pytest.approx(2.15)


def test_the_description_of_an_attribution(tmp_path, monkeypatch):
    from attribution import Settings, attribute, load_bank
    from synchformer.media.crop import load_clip
    from tests.support.flash_click import write_flash_click
    from tests.support.models import TINY, tiny

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tiny()
    for name, event in (("clip", 5.0), ("other", 3.0)):
        write_flash_click(tmp_path / f"{name}.mp4", seconds=10, event=event)
    clip = load_clip(tmp_path / "clip.mp4", 2.0, 0.4, config=TINY)
    found = attribute(model, clip, load_bank(model, (tmp_path,)), Settings(samples=60))
    plain = make_figure_data(clip, found, seen=[3.0])
    assert plain.spectrogram.shape == (128, 500)
    assert plain.frames.shape == (15, 32, 32, 3)
    assert plain.begin == 2.0
    assert len(plain.segments) == 14
    assert make_figure_data(clip, None).lines == ()
    assert plain.offset == found.target.reference
    assert {line.neutral for line in plain.lines} == {0.5}
    column = int(2.6 * 100)  # the click, moved 0.4 s earlier
    loud = plain.spectrogram.mean(0)
    assert abs(int(loud.argmax()) - column) <= 2
    for line in make_figure_data(clip, found, measure="margin", scaled=True).lines:
        assert (np.nanmin(line.value), np.nanmax(line.value)) == pytest.approx((0, 1))
    with pytest.raises(ValueError, match="measure must be one of"):
        make_figure_data(clip, found, measure="taste")
