"""A link that opens the same example with the same settings: a query string, read as strictly as anything from outside.

    ?example=hammer&start=2.52&offset=0.4&samples=4000

Only the project's own examples can be named: a visitor's video is known to nobody else. What has its usual value is
left out, so that links stay short.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

from attribution.settings import KEYS, MODALITIES, Settings
from interface.session import limits
from interface.session.errors import PageError
from interface.session.limits import Range

MAX_CHARACTERS = 600  # of a query string
MAX_START = 60.0  # s; the examples last 10 s
USUAL = Settings()


@dataclass(frozen=True)
class Place:
    """What a link leads to.

    `example` is the name of an example's file without its suffix. `start` and `offset` are in seconds; None leaves the
    start to the page. `model` is a name from the page's list.
    """

    example: str
    start: float | None = None
    offset: float = 0.0
    model: str | None = None
    settings: Settings = field(default=USUAL)


def write(place: Place) -> str:
    """A place as a query string without the question mark; `read` gives the place back."""
    values: dict[str, str] = {"example": place.example}
    if place.start is not None:
        values["start"] = _plain(place.start)
    if place.offset:
        values["offset"] = _plain(place.offset)
    if place.model is not None:
        values["model"] = place.model
    for name, (_, in_words) in SETTINGS.items():
        value = getattr(place.settings, name)
        if value != getattr(USUAL, name):
            values[KEYS.get(name, name)] = in_words(value)
    return urlencode(values)


def read(
    query: str | Mapping[str, str], *, examples: Collection[str], models: Collection[str] = (), max_offset: float
) -> Place:
    """The place that a query string names.

    Args:
        query: with or without the question mark, or already split into names and values.
        examples: names that may be opened.
        models: names that may be chosen.
        max_offset: seconds by which the page lets the sound be moved, either way.

    Raises:
        PageError: for whatever is unknown, given twice, or out of range; one sentence.
    """
    values = _split(query)
    names = {KEYS.get(name, name): name for name in SETTINGS}
    known = {"example", "start", "offset", "model", *names}
    unknown = sorted(set(values) - known)
    if unknown:
        raise PageError(
            f"The link asks for {_quoted(unknown)}, which this page does not know; open the page without it."
        )
    example = _one_of("example", values.pop("example", ""), examples)
    model = _one_of("model", values.pop("model"), models) if "model" in values else None
    start = _number("start", values.pop("start"), Range(0, MAX_START)) if "start" in values else None
    offset = _number("offset", values.pop("offset", "0"), Range(-max_offset, max_offset))
    try:
        settings = Settings(**{names[key]: SETTINGS[names[key]][0](key, value) for key, value in values.items()})
    except PageError:
        raise
    except ValueError as error:  # a combination that the settings themselves refuse
        raise PageError(f"The link cannot be followed: {error}.") from error
    return Place(example, start, offset, model, settings)


def _split(query: str | Mapping[str, str]) -> dict[str, str]:
    if isinstance(query, Mapping):
        query = urlencode(dict(query))
    query = query.removeprefix("?")
    if len(query) > MAX_CHARACTERS:
        raise PageError(f"The link is longer than {MAX_CHARACTERS} characters; it was not made by this page.")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=32)
    except ValueError as error:
        raise PageError("The link is damaged: it cannot be split into names and values.") from error
    values = dict(pairs)
    if len(values) < len(pairs):
        raise PageError("The link says one thing twice; it was not made by this page.")
    return values


def _one_of(name: str, value: str, choices: Collection[str]) -> str:
    if value not in choices:
        raise PageError(
            f"The link names the {name} {_quoted([value])}; there is {', '.join(sorted(choices)) or 'none'}."
        )
    return value


def _number(name: str, text: str, allowed: Range) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if value not in allowed:
        bounds = f"{allowed.low:.12g} to {allowed.high:.12g}"
        raise PageError(f"The link's {name} is {_quoted([text])}; it must be a number from {bounds}.")
    return value


def _bounded(allowed: Range) -> Callable[[str, str], float]:
    return lambda name, text: _number(name, text, allowed)


def _integer(allowed: Range) -> Callable[[str, str], int]:
    def parse(name: str, text: str) -> int:
        value = _number(name, text, allowed)
        if not value.is_integer() or not text.isascii() or not text.isdecimal():
            raise PageError(f"The link's {name} is {_quoted([text])}; it must be a whole number.")
        return int(value)

    return parse


def _word(*choices: str) -> Callable[[str, str], str]:
    return lambda name, text: _one_of(name, text, choices)


def _yes(name: str, text: str) -> bool:
    return _one_of(name, text, ("yes", "no")) == "yes"


def _streams(name: str, text: str) -> tuple[str, ...]:
    for part in text.split(","):
        _one_of(name, part, MODALITIES)
    return tuple(text.split(","))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else f"{round(value, 6):g}"


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _quoted(values: Collection[str]) -> str:
    return ", ".join(f"“{value[:40]}”" for value in values)


Reader = Callable[[str, str], Any]
Writer = Callable[[Any], str]

SETTINGS: dict[str, tuple[Reader, Writer]] = {
    "samples": (_integer(limits.MASKS), str),
    "modalities": (_streams, ",".join),
    "together": (_yes, _yes_or_no),
    "level": (_word("token", "input"), str),
    "unit_seconds": (_bounded(limits.UNIT_SECONDS), _plain),
    "keep": (_bounded(limits.KEEP), _plain),
    "paired": (_yes, _yes_or_no),
    "tolerance": (_bounded(limits.TOLERANCE), _plain),
    "reference": (_word(*limits.REFERENCES), str),
    "smooth": (_bounded(limits.SMOOTH), _plain),
    "seed": (_integer(limits.SEED), str),
}
"""How each setting is read from a link and written into one."""

LEFT_OUT = {each.name for each in fields(Settings)} - set(SETTINGS)  # of no influence on the result: batch, precision
