"""Errors as sentences for people: what a library or the system reports is put into words, without its numbers."""

from __future__ import annotations


class NotFiniteError(ValueError):
    """NaN or infinity where a result must be a number."""


def sentence_of(error: BaseException) -> str:
    """What a person reads about an error: no error number, no name of a function of a library.

    Errors of this project are sentences already and stay as they are.
    """
    if isinstance(error, MemoryError):
        return "the memory does not suffice; take a shorter part, or smaller pictures"
    reason = getattr(error, "strerror", None)
    if type(error).__module__.startswith("av."):
        return f"FFmpeg cannot process it ({reason or type(error).__name__}); convert it to MP4 (H.264 and AAC)"
    if isinstance(error, OSError) and reason:
        return f"{error.filename}: {reason}" if error.filename else str(reason)
    return str(error) or type(error).__name__
