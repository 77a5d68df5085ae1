"""How a device is named, on command lines and in functions alike; without torch, so that `--help` answers at once."""

from __future__ import annotations

import re

DEVICE_HELP = "auto (a GPU when there is one), cpu, cuda, or cuda:1 for the second GPU"


def device_name(name: str) -> str:
    """The name itself, when it names a device.

    Raises:
        ValueError: when it does not.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError(f"unknown device {name!r}; choose auto, cpu or cuda (cuda:1 for the second GPU)")
    return name
