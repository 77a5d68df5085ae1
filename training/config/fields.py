"""Settings: fields of dataclasses that say themselves what they are, for command lines, files and checks alike.

A field that may be set from outside has metadata:

| key | meaning |
|---|---|
| help | its documentation in one line |
| stages | the stages that know it; all when missing |
| min, max, above, below | bounds of its value, the last two of them outside |
| parse | makes a value of a command line's text; its type when missing |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from training.config.names import STAGES, Stage

TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "min": ("at least", lambda value, bound: value >= bound),
    "max": ("at most", lambda value, bound: value <= bound),
    "above": ("above", lambda value, bound: value > bound),
    "below": ("below", lambda value, bound: value < bound),
}


@dataclass(frozen=True)
class FieldType:
    """The type of a field: one value of the type `base`, or `several`, out of `choices` where there are some."""

    base: type[Any]
    choices: tuple[str, ...] = ()
    optional: bool = False
    several: bool = False

    def convert(self, value: Any) -> Any:
        """A value of a file as the field takes it.

        Raises:
            ValueError: when it is of another type, or none of the choices; says what it must be.
        """
        if value is None and self.optional:
            return None
        if self.several:
            if not isinstance(value, list):
                raise ValueError(f"must be a list, not {value!r}")
            return tuple(replace(self, several=False).convert(each) for each in value)
        converted = self._as_base(value)
        if self.choices and converted not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}, not {converted}")
        return converted

    def _as_base(self, value: Any) -> Any:
        if type(value) is self.base:
            return value
        if self.base is Path and isinstance(value, str):
            return Path(value)
        try:
            if self.base is float and type(value) in (int, str):  # YAML takes 1e-3 for a text
                return float(value)
        except ValueError:
            pass
        raise ValueError(f"must be {TYPE_NAMES[self.base]}, not {value!r}")


@dataclass(frozen=True)
class Setting:
    """A field that may be set from outside: its type, its default, and its metadata."""

    name: str
    type: FieldType
    default: Any
    metadata: Mapping[str, Any]

    @property
    def help(self) -> str:
        """What it means."""
        return str(self.metadata["help"])

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in which it does something."""
        stages: tuple[Stage, ...] = self.metadata.get("stages", STAGES)
        return stages

    @property
    def parse(self) -> Callable[[str], Any]:
        """Makes a value of a command line's text."""
        parse: Callable[[str], Any] = self.metadata.get("parse", self.type.base)
        return parse

    def require(self, value: Any) -> None:
        """Hold a value against choices and bounds.

        Raises:
            ValueError: when it is none of them.
        """
        for each in value if self.type.several else (value,):
            if each is None:
                continue
            if self.type.choices and each not in self.type.choices:
                raise ValueError(f"{option(self.name)} must be one of {', '.join(self.type.choices)}, not {each}")
            for key, (wanted, holds) in BOUNDS.items():
                if key in self.metadata and not holds(each, self.metadata[key]):
                    raise ValueError(f"{option(self.name)} must be {wanted} {self.metadata[key]}, not {each}")


def settings_of(kind: type[Any], stage: Stage | None = None) -> dict[str, Setting]:
    """The settings of a dataclass by name; those that a stage knows, if one is given."""
    types = field_types(kind)
    settings = (
        Setting(field.name, types[field.name], field.default, field.metadata)
        for field in fields(kind)
        if "help" in field.metadata
    )
    return {each.name: each for each in settings if stage is None or stage in each.stages}


def field_types(kind: type[Any]) -> dict[str, FieldType]:
    """The types of those fields of a dataclass whose values fit into a command line or a file."""
    hints = get_type_hints(kind)
    types = {field.name: _field_type(hints[field.name]) for field in fields(kind)}
    return {name: known for name, known in types.items() if known.base in TYPE_NAMES}


def _field_type(hint: Any) -> FieldType:
    inner = get_args(hint)
    if get_origin(hint) is Literal:
        return FieldType(str, inner)
    if get_origin(hint) is tuple:
        return replace(_field_type(inner[0]), several=True)
    if type(None) in inner:
        return replace(_field_type(next(each for each in inner if each is not type(None))), optional=True)
    return FieldType(hint)


def option(name: str, value: Any = None) -> str:
    """The command line's option for a setting: `--held-out`, and `--no-cache` where the value is False."""
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"


def listed(names: Sequence[str]) -> str:
    """Names in words: `avclip, sync and baseline`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def check_values(settings: Any) -> None:
    """Hold every value of a dataclass of settings against its choices and bounds.

    Raises:
        ValueError: naming the option of the first value that is none of them.
    """
    for name, setting in settings_of(type(settings)).items():
        setting.require(getattr(settings, name))
