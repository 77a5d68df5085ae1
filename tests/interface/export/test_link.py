"""Links: what is written is read again, and nothing else is believed."""

import random
from dataclasses import fields, replace

import pytest

from attribution.settings import Settings
from interface.export.link import LEFT_OUT, SETTINGS, Place, read, write
from interface.session.errors import PageError

KNOWN = {"examples": ("hammer", "bouncing_ball"), "models": ("mini", "audioset"), "max_offset": 2.0}


def test_a_link_in_full():
    place = Place("hammer", 2.52, -0.4, "audioset", Settings(samples=400, modalities=("video",), tolerance=0.1, seed=7))
    assert write(place) == (
        "example=hammer&start=2.52&offset=-0.4&model=audioset&samples=400&modalities=video&tolerance=0.1&seed=7"
    )
    assert read("?" + write(place), **KNOWN) == place


def test_what_is_usual_is_left_out():
    assert write(Place("hammer")) == "example=hammer"
    assert read("example=hammer", **KNOWN) == Place("hammer")
    assert read({"example": "hammer", "offset": "0.4"}, **KNOWN) == Place("hammer", offset=0.4)


def test_every_place_comes_back():
    rng = random.Random(0)
    choices = {
        "samples": [100, 2000, 20_000], "modalities": [("audio", "video"), ("video", "audio"), ("audio",)],
        "together": [True, False], "level": ["token", "input"], "unit_seconds": [0.02, 0.1, 0.333333],
        "keep": [0.25, 0.5],
        "paired": [True, False], "tolerance": [None, 0.05], "reference": ["prediction", "applied"],
        "seed": [0, 2**32 - 1],
    }  # fmt: skip
    for _ in range(200):
        settings = Settings(**{name: rng.choice(values) for name, values in choices.items()})
        place = Place(rng.choice(KNOWN["examples"]), rng.choice([None, 0.0, 4.96]), rng.choice([0.0, -2.0, 1.16]),
                      rng.choice([None, "mini"]), settings)  # fmt: skip
        assert read(write(place), **KNOWN) == place


def test_every_setting_that_matters_is_in_the_link():
    assert {"batch", "precision"} == LEFT_OUT
    assert set(SETTINGS) | LEFT_OUT == {each.name for each in fields(Settings)}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "names the example"),
        ("example=../../etc/passwd", "names the example “../../etc/passwd”; there is bouncing_ball, hammer"),
        ("example=hammer&model=/tmp/own.pt", "names the model"),
        ("example=hammer&example=hammer", "one thing twice"),
        ("example=hammer&path=x", "asks for “path”"),
        ("example=hammer&batch=2", "asks for “batch”"),
        ("example=hammer&start=nan", "start is “nan”"),
        ("example=hammer&start=-1", "from 0 to 60"),
        ("example=hammer&offset=1e400", "offset"),
        ("example=hammer&offset=2.04", "from -2 to 2"),
        ("example=hammer&reference=0.4", "there is applied, prediction"),
        ("example=hammer&samples=1e9", "from 100 to 20000"),
        ("example=hammer&samples=50000", "from 100 to 20000"),
        ("example=hammer&samples=200.5", "whole number"),
        ("example=hammer&samples=1e3", "whole number"),
        ("example=hammer&seed=-1", "seed"),
        ("example=hammer&level=pixel", "level"),
        ("example=hammer&modalities=audio,audio", "cannot be followed"),
        ("example=hammer&modalities=", "modalities"),
        ("example=hammer&keep=0", "from 0.05 to 0.95"),
        ("example=hammer&together=1", "there is no, yes"),
        ("example=hammer&&", "damaged"),
        ("example=hammer&x=" + "a" * 1000, "longer than"),
        ("&".join(f"a{i}=1" for i in range(100)), "damaged"),
    ],
)
def test_whatever_else_a_link_says_is_one_sentence(query, message):
    with pytest.raises(PageError, match=message):
        read(query, **KNOWN)


def test_a_foreign_text_is_cut_in_the_sentence():
    with pytest.raises(PageError) as caught:
        read("example=" + "x" * 300, **KNOWN)
    assert len(str(caught.value)) < 120


def test_a_changed_default_shows_in_the_link():
    assert "keep=0.25" in write(Place("hammer", settings=replace(Settings(), keep=0.25)))
