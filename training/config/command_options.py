"""Options that several commands of training take beside their own, each declared once."""

from __future__ import annotations

import argparse
from typing import get_args

from training.config.command_line import add_option
from training.config.fields import settings_of
from training.config.stage_config import StageConfig
from training.datasets.source import Split

SHARED = settings_of(StageConfig)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Options `--data` and `--annotations`."""
    add_option(parser, SHARED["data"])
    add_annotations(parser)


def add_annotations(parser: argparse.ArgumentParser) -> None:
    """Option `--annotations`."""
    add_option(parser, SHARED["annotations"])


def add_split(parser: argparse.ArgumentParser, default: Split = "test") -> None:
    """Option `--split`."""
    parser.add_argument("--split", choices=get_args(Split), default=default, help=f"of the data (default {default})")


def add_workers(parser: argparse.ArgumentParser, default: int = 2) -> None:
    """Option `--workers`."""
    add_option(parser, SHARED["workers"], default)


def add_seed(parser: argparse.ArgumentParser, of: str, default: int) -> None:
    """Option `--seed` of what the command draws."""
    parser.add_argument("--seed", type=int, default=default, help=f"seed of {of} (default {default})")
