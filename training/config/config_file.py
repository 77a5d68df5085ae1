"""Settings of stages as YAML: what `training.run --config` reads, and what a run writes beside its state.

A file has a section for each stage, with the words of the command line (`held-out` or `held_out`). Settings above the
sections hold for every stage that knows them; a section's own come first. Beside the fields of `StageConfig` and
`OptimConfig` there are four that say what the model is and what the file builds on:

| setting | meaning |
|---|---|
| recipe | name of the recipe whose values hold where the file says nothing |
| preset | name of the model's sizes |
| sizes | single sizes (`synchformer.config.SynchformerConfig`) in place of the preset's |
| ablation | list of ablations (`training.config.ablations`) |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from synchformer.config import PRESETS, SynchformerConfig
from synchformer.storage.atomic import atomic_write
from training.config.ablations import NAMES
from training.config.fields import FieldType, field_types, listed, settings_of
from training.config.names import STAGES, Stage
from training.config.optimization import OptimConfig
from training.config.stage_config import StageConfig

CONFIG = "config.yaml"
"""The file of a run, in the folder of its stage."""

_INSTALLED, _CHECKOUT = (parent / "configs" for parent in Path(__file__).resolve().parents[1:3])
CONFIGS = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
"""The folder of the project's own files: inside an installed package, beside it in a checkout."""

RECIPES = {"here": CONFIGS / "cpu.yaml", "paper": CONFIGS / "paper.yaml"}
"""Files of optimization by name: `here` is for two CPU cores, `paper` has the published values."""

MODEL = {
    "recipe": FieldType(str, tuple(RECIPES)),
    "preset": FieldType(str, tuple(sorted(PRESETS))),
    "ablation": FieldType(str, NAMES, several=True),
}
SETTINGS = settings_of(StageConfig) | settings_of(OptimConfig)
TYPES = MODEL | {name: setting.type for name, setting in SETTINGS.items()}


def read_config(path: Path, stage: Stage) -> dict[str, Any]:
    """The settings of a stage in a file, as values of their fields.

    All of the file is checked, the sections of other stages too.

    Raises:
        ValueError: when it cannot be read, or has settings that are unknown, of another type, or of other stages.
    """
    document = _read(path)
    sections = {name: document.pop(name, None) for name in STAGES}
    common = _settings(document, str(path))
    own = {name: _settings(section or {}, f"{path}: {name}") for name, section in sections.items()}
    for name, values in own.items():
        for key in values:
            if name not in _stages(key):
                raise ValueError(
                    f"{path}: {key} is a setting of {listed(_stages(key))}, not of {name}; leave it out there"
                )
    return {key: value for key, value in common.items() if stage in _stages(key)} | own[stage]


def write_config(request: StageConfig, path: Path) -> None:
    """Write everything that a stage was asked for, so that `--config` of the file asks for it again."""
    values: dict[str, Any] = {"sizes": asdict(request.config)}
    for settings in (request, request.options):
        values |= {name: _plain(getattr(settings, name)) for name in settings_of(type(settings), request.stage)}
    again = f"python -m training.run {request.stage} --config THIS --out FOLDER"
    text = yaml.safe_dump({request.stage: values}, sort_keys=False, allow_unicode=True)
    with atomic_write(path) as part:
        part.write_text(f"# All settings of this stage; {again} repeats it.\n{text}")


def _read(path: Path) -> dict[Any, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}; give a YAML file such as those in configs/") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds no settings; give a YAML file such as those in configs/")
    return document


def _stages(key: str) -> tuple[Stage, ...]:
    """The stages that know a setting."""
    return SETTINGS[key].stages if key in SETTINGS else STAGES


def _settings(section: Any, place: str) -> dict[str, Any]:
    """The settings of a section, checked and as values of their fields."""
    values = {str(key).replace("-", "_"): value for key, value in _section(section, place).items()}
    sizes = {"sizes": _sizes(values.pop("sizes"), f"{place}: sizes")} if "sizes" in values else {}
    return sizes | _converted(values, TYPES, place, "setting")


def _sizes(section: Any, place: str) -> dict[str, Any]:
    return _converted(_section(section, place), field_types(SynchformerConfig), place, "size")


def _section(section: Any, place: str) -> dict[Any, Any]:
    if not isinstance(section, dict):
        raise ValueError(f"{place} must be a section of settings, not {section!r}")
    return section


def _converted(values: Mapping[str, Any], types: Mapping[str, FieldType], place: str, what: str) -> dict[str, Any]:
    converted = {}
    for key, value in values.items():
        if key not in types:
            known = [*types, "sizes", *STAGES] if types is TYPES else types
            nearest = get_close_matches(str(key), known, 1, cutoff=0)[0]
            raise ValueError(f"{place}: {key} is no {what}; the nearest known one is {nearest}")
        try:
            converted[key] = types[key].convert(value)
        except ValueError as error:
            raise ValueError(f"{place}: {key} {error}") from error
    return converted


def _plain(value: Any) -> Any:
    """A value as YAML knows it."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
