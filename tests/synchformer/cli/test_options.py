"""Options that commands of several packages share."""

import argparse

import pytest

from attribution import __main__ as attribution
from synchformer.cli.options import add_device


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:3"])
def test_devices(device):
    parser = argparse.ArgumentParser()
    add_device(parser, default="cpu")
    assert parser.parse_args([]).device == "cpu"
    assert parser.parse_args(["--device", device]).device == device


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_unknown_devices_are_wrong_usage(device, capsys):
    assert attribution.main(["clip.mp4", "--device", device]) == 2
    assert "choose auto, cpu or cuda (cuda:1 for the second GPU)" in capsys.readouterr().err
