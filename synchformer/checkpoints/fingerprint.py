"""A fingerprint of weights: what was computed with one model is never taken for another's."""

from __future__ import annotations

import hashlib

from torch import nn

DIGITS = 16  # hexadecimal


def fingerprint(*modules: nn.Module) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of all weights, in float32, by name; modules one after the other.

    It depends on the weights alone, not on their device, their precision or the order in which they were made. What
    also depends on sizes that no weight shows, such as the length of a crop, must keep those beside it.
    """
    digest = hashlib.sha256()
    for module in modules:
        for name, value in sorted(module.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:DIGITS]
