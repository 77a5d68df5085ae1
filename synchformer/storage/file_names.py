"""File names as text that can be printed, tabulated and drawn, whatever bytes they are made of.

POSIX names are bytes. Python keeps those that are no UTF-8 as lone surrogates, which no table, JSON or terminal takes.
"""

from __future__ import annotations

import codecs
import re
from os import PathLike, fspath

STREAM_ERRORS = "escape-undecodable"  # for `reconfigure(errors=...)` of an output stream

_OTHER_SURROGATES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")  # control, line ends, directions


def printable(name: str | PathLike[str]) -> str:
    r"""A file name or path on one line: bytes that are no UTF-8 and control characters as escapes (`caf\xe9.mp4`)."""
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), encodable(fspath(name)))


def encodable(text: str) -> str:
    r"""Text that has an UTF-8 encoding: bytes of file names that are no UTF-8 become escapes such as `\xe9`."""
    if text.isascii():
        return text
    text = _OTHER_SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = encodable(error.object[error.start : error.end])
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(STREAM_ERRORS, _escape)
