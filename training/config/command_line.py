"""Options of a command line, made of the settings of dataclasses."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from training.config.fields import Setting, option, settings_of
from training.config.names import Stage


def add_options(
    parser: argparse.ArgumentParser, kind: type[Any], stage: Stage, defaults: Mapping[str, Any] | None = None
) -> None:
    """An option for every setting of a dataclass. What the stage does not know is understood, but not shown.

    Args:
        parser: takes the options; with `argument_default=argparse.SUPPRESS`, those that are not given stay out of the
            namespace.
        kind: the dataclass.
        stage: what the parser is for.
        defaults: what the help says where it is not the field's own default.
    """
    for name, setting in settings_of(kind).items():
        add_option(parser, setting, (defaults or {}).get(name), hidden=stage not in setting.stages)


def add_option(parser: argparse.ArgumentParser, setting: Setting, default: Any = None, *, hidden: bool = False) -> None:
    """An option for one setting: `--name` with its type and choices, or `--name` and `--no-name` for a switch.

    Args:
        parser: takes the option.
        setting: what it sets.
        default: what holds where the option is not given; None: the setting's own.
        hidden: whether the help leaves it out.
    """
    value = setting.default if default is None else default
    said = "" if value is None or setting.type.several else f" (default {_shown(value)})"
    keywords: dict[str, Any] = {"help": argparse.SUPPRESS if hidden else setting.help + said}
    if parser.argument_default != argparse.SUPPRESS:
        keywords["default"] = value
    if setting.type.base is bool:
        parser.add_argument(option(setting.name), action=argparse.BooleanOptionalAction, **keywords)
        return
    if setting.type.choices:
        keywords["choices"] = setting.type.choices
    if setting.type.several:
        keywords["nargs"] = "+"
    parser.add_argument(option(setting.name), type=setting.parse, **keywords)


def given_settings(arguments: argparse.Namespace, kind: type[Any]) -> dict[str, Any]:
    """The arguments that are settings of a dataclass, as its fields take them."""
    values, known = vars(arguments), settings_of(kind)
    return {name: tuple(values[name]) if known[name].type.several else values[name] for name in known if name in values}


def _shown(value: Any) -> Any:
    return ("on" if value else "off") if isinstance(value, bool) else value
