"""Synchformer: how far is the sound of a video off, how sure is that, and which moments prove it?

>>> from synchformer import load_clip, load_model, predict
>>> model = load_model("mini")
>>> clip = load_clip("video.mp4", start=0.0, offset=0.4, config=model.config)
>>> print(predict(model, clip).sentence)

Offset > 0 means that the sound runs ahead (it is heard that many seconds too early); offset < 0 means that it lags.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from synchformer.config import BASE, MINI, SMALL, SynchformerConfig

if TYPE_CHECKING:
    from synchformer.checkpoints.registry import load_avclip, load_model
    from synchformer.inference.prediction import Prediction, predict, predict_synchronizability
    from synchformer.media.crop import Clip, Crop, load_clip
    from synchformer.media.decode import read_media
    from synchformer.media.probe import MediaError
    from synchformer.modeling.segment_avclip import SegmentAVCLIP
    from synchformer.modeling.synchformer import Synchformer

__version__ = "0.1.0"

# Where each name lives: loaded when first asked for, so that `import synchformer` costs no torch.
_HOMES = {
    "SegmentAVCLIP": "modeling.segment_avclip",
    "load_avclip": "checkpoints.registry",
    "load_model": "checkpoints.registry",
    "Clip": "media.crop",
    "Crop": "media.crop",
    "load_clip": "media.crop",
    "MediaError": "media.probe",
    "read_media": "media.decode",
    "Synchformer": "modeling.synchformer",
    "Prediction": "inference.prediction",
    "predict": "inference.prediction",
    "predict_synchronizability": "inference.prediction",
}

__all__ = [
    "BASE",
    "MINI",
    "SMALL",
    "Clip",
    "Crop",
    "MediaError",
    "Prediction",
    "SegmentAVCLIP",
    "Synchformer",
    "SynchformerConfig",
    "load_avclip",
    "load_clip",
    "load_model",
    "predict",
    "predict_synchronizability",
    "read_media",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'synchformer' has no attribute {name!r}")
    return getattr(import_module(f"synchformer.{_HOMES[name]}"), name)
