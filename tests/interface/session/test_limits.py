"""What the page offers, a link may ask for and an endpoint accepts: the same."""

import math

import pytest

from interface.export.link import read
from interface.page import build_interface
from interface.session import limits
from interface.session.errors import PageError
from interface.session.limits import Range
from interface.session.model_registry import Models
from interface.session.session import Session
from tests.support.page import FlashAndClick

ATTRIBUTION = {  # a link's name: the limit, the label on the page, the label of the endpoint
    "samples": (limits.MASKS, "Masks per curve", "masks per curve"),
    "chunk": (limits.UNIT_SECONDS, "Length of a moment (s)", "seconds of a moment"),
    "keep": (limits.KEEP, "Chance to keep a moment", "probability to keep a moment"),
    "tolerance": (
        limits.TOLERANCE, "Stop when intervals are narrower than", "stop when intervals are narrower; 0: never",
    ),
    "smooth": (limits.SMOOTH, "Curves averaged over ± (s)", None),
    "seed": (limits.SEED, "Seed", "seed"),
}  # fmt: skip


@pytest.fixture(scope="module")
def models():
    return Models(Session(FlashAndClick(), name="known answer"))


@pytest.fixture(scope="module")
def fields(models):
    """Properties of all fields, of the page and of the endpoints, by their label."""
    components = build_interface(models).get_config_file()["components"]
    return {each["props"].get("label"): each["props"] for each in components}


def ask(models, **values):
    query = {"example": "hammer"} | {name: f"{value:.12g}" for name, value in values.items()}
    return read(query, examples=("hammer",), max_offset=models.max_offset)


@pytest.mark.parametrize("name", ATTRIBUTION)
def test_page_link_and_endpoint_take_the_same_settings(models, fields, name):
    limit, on_page, at_endpoint = ATTRIBUTION[name]
    labels = [label for label in (on_page, at_endpoint) if label]
    assert all((fields[label]["minimum"], fields[label]["maximum"]) == (limit.low, limit.high) for label in labels)
    for value in (limit.low or limit.high, limit.high):
        assert ask(models, **{name: value}).settings.as_dict()[name] == value
    with pytest.raises(PageError, match=f"The link's {name} is"):
        ask(models, **{name: limit.high + 1})


def test_page_link_and_endpoint_take_the_same_offsets(models, fields):
    labels = ("Move the sound (s)", "seconds by which the sound is made early before asking; late below zero")
    reach = models.max_offset
    assert all((fields[label]["minimum"], fields[label]["maximum"]) == (-reach, reach) for label in labels)
    assert ask(models, offset=-reach).offset == -reach
    with pytest.raises(PageError, match="The link's offset is"):
        ask(models, offset=reach + 0.04)


@pytest.mark.parametrize(
    ("limit", "labels"),
    [
        (limits.WINDOW_DISTANCE, ("A window every (s)", "seconds between windows")),
        (limits.REACH, ("Search farther by (s)", "seconds searched beyond the model's own range")),
        (limits.CORRECTION, (
            "It is early by (s); late below 0",
            "seconds by which the sound is known to be early; late below zero; empty: measure it",
        )),
    ],
)  # fmt: skip
def test_page_and_endpoint_take_the_same_films(fields, limit, labels):
    assert all((fields[label]["minimum"], fields[label]["maximum"]) == (limit.low, limit.high) for label in labels)


def test_a_range_holds_both_ends_and_no_nan():
    assert 0 in Range(0, 1)
    assert 1 in Range(0, 1)
    assert 1.01 not in Range(0, 1)
    assert not Range(-math.inf, math.inf).__contains__(math.nan)
