"""Where embedded files lie: weights, calibration, examples."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent.parent


def asset(name: str) -> Path:
    """The embedded file or folder of that name, whether it exists or not.

    In an installed package it lies inside it, in `synchformer/assets/`; in a checkout beside it, in `assets/`.
    """
    installed = PACKAGE / "assets" / name
    return installed if installed.exists() else PACKAGE.parent / "assets" / name
