"""Constants that turn a model's distributions into continuous offsets and probabilities, measured for one model.

They are measured by `python -m training.fine_calibrate` on generated clips and kept in a small JSON file under the
digest of the model's weights, so that they are never used for other weights.
"""

from __future__ import annotations

import hashlib

from synchformer.model import Synchformer


def model_digest(model: Synchformer) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of all weights, in float32, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
