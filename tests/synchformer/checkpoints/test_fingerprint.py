"""Fingerprints of weights: hand-computed, kept across releases, and unlike where weights are."""

import hashlib
import json
import struct

import torch
from torch import nn

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.checkpoints.registry import load_model


def layer(weight: float, bias: float) -> nn.Linear:
    made = nn.Linear(1, 1)
    with torch.no_grad():
        made.weight.fill_(weight)
        made.bias.fill_(bias)
    return made


def test_by_hand():
    # Names in alphabetic order, each followed by its values as little-endian float32; modules follow one another.
    one = b"bias" + struct.pack("<f", 2.0) + b"weight" + struct.pack("<f", 0.5)
    other = b"bias" + struct.pack("<f", -1.0) + b"weight" + struct.pack("<f", 3.0)
    assert fingerprint(layer(0.5, 2.0)) == hashlib.sha256(one).hexdigest()[:16]
    assert fingerprint(layer(0.5, 2.0), layer(3.0, -1.0)) == hashlib.sha256(one + other).hexdigest()[:16]
    assert fingerprint(layer(0.5, 2.0).double()) == fingerprint(layer(0.5, 2.0)), "precision does not count"


def test_the_embedded_weights_keep_theirs():
    assert fingerprint(load_model("mini", "cpu")) == "078483ba4955504a"
    assert "078483ba4955504a" in json.loads(asset("calibration.json").read_text())
