"""Files to tensors and back: what a file holds, its frames and samples on one clock, and crops of them.

Names are loaded when first asked for, so that listing the videos of a folder costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synchformer.media.crop import load_clip
    from synchformer.media.decode import read_media
    from synchformer.media.probe import MediaError, MediaInfo
    from synchformer.storage.video_files import VIDEO_SUFFIXES, find_videos

_HOMES = {
    "MediaError": "synchformer.media.container",
    "MediaInfo": "synchformer.media.probe",
    "VIDEO_SUFFIXES": "synchformer.storage.video_files",
    "find_videos": "synchformer.storage.video_files",
    "load_clip": "synchformer.media.crop",
    "read_media": "synchformer.media.decode",
}

__all__ = ["VIDEO_SUFFIXES", "MediaError", "MediaInfo", "find_videos", "load_clip", "read_media"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'synchformer.media' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
