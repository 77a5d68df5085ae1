"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synchformer.storage.json_text import to_json

LONGEST_SUFFIX = 32  # bytes: what is longer is no suffix, and names end at 255 bytes in most file systems


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A name beside `path` to write under; `path` is replaced only when the block ends without an error.

    The file gets the rights that a new file usually has, whoever writes it.

    Raises:
        OSError: when the folder cannot be written to.
    """
    with temporary_file(path) as part:
        rights = part.stat().st_mode
        yield part
        part.chmod(rights)
        part.replace(path)


@contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """An empty file beside `path` with its suffix; it is removed behind the block.

    Raises:
        OSError: when the folder cannot be written to.
    """
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""
    part = path.with_name(f".{secrets.token_hex(8)}{suffix}")  # short, and without what else the name may hold
    part.open("xb").close()
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):  # an error above is the one to tell
            part.unlink(missing_ok=True)


def put_into_json(path: Path, key: str, value: Any) -> None:
    """Put a value under a key of a JSON file, beside what it holds already; the file is made where there is none.

    Raises:
        OSError: when the folder cannot be written to.
        NotFiniteError, TypeError: as `to_json`.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with atomic_write(path) as part:
        part.write_text(to_json(known | {key: value}, indent=1) + "\n", encoding="utf-8")


def write_json(path: Path, values: Any) -> None:
    """Write plain values and dataclasses as JSON, indented by one space.

    Raises:
        OSError: when the folder cannot be written to.
        NotFiniteError, TypeError: as `to_json`.
    """
    text = to_json(values, indent=1)
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
