"""The wrapper for ZeroGPU, with and without its package."""

import importlib.machinery
import sys
import types

import pytest

from interface import accelerator
from interface.accelerator import on_accelerator


def test_without_the_package_nothing_changes(monkeypatch):
    monkeypatch.setattr(accelerator, "find_spec", lambda name: None)

    def work():
        return 7

    assert on_accelerator()(work) is work


def test_the_package_gets_function_and_time(monkeypatch):
    asked = []
    spaces = types.ModuleType("spaces")
    spaces.__spec__ = importlib.machinery.ModuleSpec("spaces", None)
    spaces.GPU = lambda duration: lambda work: asked.append(duration) or (lambda *values: ("on it", work(*values)))
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    assert on_accelerator(30)(lambda x: x + 1)(1) == ("on it", 2)
    assert asked == [30]


def test_no_time_is_an_error():
    with pytest.raises(ValueError, match="more than 0 s"):
        on_accelerator(0)
