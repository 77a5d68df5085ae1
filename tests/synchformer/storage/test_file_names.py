"""Names of any bytes as text: what is printable stays, what is not becomes an escape that every encoding takes."""

import io
import os
from pathlib import Path

import pytest

from synchformer.storage.file_names import STREAM_ERRORS, encodable, printable


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"plain.mp4", "plain.mp4"),
        ("Überfahrt 映画 🎬.mp4".encode(), "Überfahrt 映画 🎬.mp4"),
        (b"caf\xe9.mp4", r"caf\xe9.mp4"),
        (b"\xff\xfe\x80", r"\xff\xfe\x80"),
        (b"half \xc3 of a letter", r"half \xc3 of a letter"),
        (b"new\nline\ttab\x1b[31m", r"new\nline\ttab\x1b[31m"),
        ("turned \u202egpm.exe".encode(), r"turned \u202egpm.exe"),
        (b"2024-05-01T10:00:00 $x$ 100% 'q\"", "2024-05-01T10:00:00 $x$ 100% 'q\""),
    ],
)
def test_names_of_any_bytes(name, text):
    assert printable(os.fsdecode(name)) == text
    assert printable(Path(os.fsdecode(name))) == text
    text.encode("utf-8")


def test_text_keeps_its_lines_and_letters():
    assert encodable("a\nb é") == "a\nb é"
    assert encodable(os.fsdecode(b"caf\xe9") + " \ud800") == r"caf\xe9 \ud800"


@pytest.mark.parametrize(("encoding", "text"), [("ascii", rb"caf\xe9 \xfc \u2588"), ("utf-8", "caf\\xe9 ü █".encode())])
def test_streams_take_any_text(encoding, text):
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, errors=STREAM_ERRORS) as stream:
        stream.write(os.fsdecode(b"caf\xe9") + " ü █")
        stream.flush()
        assert raw.getvalue() == text
