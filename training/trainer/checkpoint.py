"""Saved states of a training run: atomic to write, safe to read, enough to go on with the same bits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a state of tensors and plain values; a run killed meanwhile leaves the previous file whole."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_state(path: Path) -> dict[str, Any] | None:
    """Read a state, or None when there is none yet.

    Raises:
        ValueError: when the file is damaged or holds anything but tensors and plain values.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"cannot resume from {path}: {error}; remove the file to start anew") from error
    return state
