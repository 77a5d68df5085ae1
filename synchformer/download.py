"""Fetch a file once: verified, resumable, safe with several processes at once."""

from __future__ import annotations

import hashlib
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from synchformer.weights import CheckpointError

CHUNK = 1 << 20  # bytes read at a time
TIMEOUT = 30  # seconds without a byte
TRIES = 3


class DownloadError(CheckpointError):
    """A file could not be fetched; says what was tried and why it failed."""


def cache_folder() -> Path:
    """Where downloads live: `$XDG_CACHE_HOME/synchformer`, else `$HF_HOME/synchformer`, else `~/.cache/synchformer`."""
    for variable in ("XDG_CACHE_HOME", "HF_HOME"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser() / "synchformer"
    return Path.home() / ".cache" / "synchformer"


def fetch(urls: Sequence[str], target: Path, md5: str, progress: bool = True) -> Path:
    """Return `target`, fetched from the first address that works unless it is there already.

    The bytes go to `target.part` and are moved only when their MD5 starts with `md5`; an interrupted download goes on
    where it stopped. Other processes wait for the one that downloads.

    Raises:
        DownloadError: when no address works, the hash differs, or the disk refuses the file.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(target.name + ".lock")):
            if not target.exists():
                _fetch_any(urls, target, md5, progress)
    except OSError as error:
        raise DownloadError(
            f"cannot write {target}: {error}; free some space or choose another XDG_CACHE_HOME"
        ) from error
    return target


def verify(path: Path, md5: str) -> None:
    """Check a file against the first digits of its MD5.

    Raises:
        DownloadError: when they differ.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    if not digest.hexdigest().startswith(md5):
        raise DownloadError(
            f"{path.name} has the MD5 {digest.hexdigest()}, expected {md5}…; it is damaged or another file"
        )


def _fetch_any(urls: Sequence[str], target: Path, md5: str, progress: bool) -> None:
    failures = []
    for url in urls:
        part = target.with_name(target.name + ".part")
        try:
            _fetch_one(url, part, progress)
            _accept(part, target, md5)
            return
        except DownloadError as error:
            failures.append(f"{url}: {error}")
    raise DownloadError("; ".join(failures))


def _accept(part: Path, target: Path, md5: str) -> None:
    try:
        verify(part, md5)
    except DownloadError:
        part.unlink()
        raise
    part.replace(target)


def _fetch_one(url: str, part: Path, progress: bool) -> None:
    for attempt in range(TRIES):
        try:
            _stream(url, part, progress)
            return
        except urllib.error.HTTPError as error:
            if error.code == 416:  # what is there is longer than the file: start again
                part.unlink(missing_ok=True)
            elif error.code < 500 or attempt == TRIES - 1:
                raise DownloadError(f"the server answered {error.code} {error.reason}") from error
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            if attempt == TRIES - 1:
                raise DownloadError(f"no connection ({getattr(error, 'reason', error)})") from error
        time.sleep(0.2 * 2**attempt)
    raise DownloadError("the server did not send the file whole")


def _stream(url: str, part: Path, progress: bool) -> None:
    """Append what is missing; a server that cannot resume sends everything and the part starts anew."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        resumed = answer.status == 206
        have = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=not progress)
        with part.open("ab" if resumed else "wb") as file, bar:
            while block := answer.read(CHUNK):
                file.write(block)
                bar.update(len(block))
    if total is not None and part.stat().st_size < total:
        raise ConnectionError("the connection broke off")
