"""Fetch a file once: verified, resumable, safe with several processes at once."""

from __future__ import annotations

import hashlib
import os
import ssl
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from synchformer.checkpoints.safe_tensors import CheckpointError

CHUNK = 1 << 20  # bytes read at a time
TIMEOUT = 30.0  # seconds without a byte
TRIES = 4  # attempts in a row that bring less than a chunk
PAUSE = 0.5  # seconds before the second attempt, doubled before each further one
BUSY = (408, 429)  # answers below 500 that are worth another attempt


class DownloadError(CheckpointError):
    """A file could not be fetched; says what was tried and why it failed."""


class BrokenOffError(ConnectionError):
    """The server sent less than it announced, or something else than what was asked for."""


def cache_folder() -> Path:
    """Where downloads live: `$XDG_CACHE_HOME/synchformer`, else `$HF_HOME/synchformer`, else `~/.cache/synchformer`."""
    for variable in ("XDG_CACHE_HOME", "HF_HOME"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser() / "synchformer"
    return Path.home() / ".cache" / "synchformer"


def fetch(url: str, target: Path, md5: str, progress: bool = True) -> Path:
    """Return `target`, downloaded unless it is there already; its MD5 must start with `md5` either way.

    The bytes go to `target.part` and are moved when they are whole and verified; an interrupted download goes on where
    it stopped. Other processes wait for the one that downloads. The progress bar goes to standard error.

    Raises:
        DownloadError: when the address does not work, the hash differs, or the disk refuses the file.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(target.name + ".lock")):
            if target.exists():  # put there by hand, or by another process
                verify(target, md5)
            else:
                _download(url, target, md5, progress)
    except OSError as error:
        raise DownloadError(
            f"cannot write {target}: {error}; free some space or set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    return target


def verify(path: Path, md5: str) -> None:
    """Check a file against the first digits of its MD5.

    Raises:
        DownloadError: when they differ.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if not digest.startswith(md5):
        raise DownloadError(
            f"{path} has the MD5 {digest}, but one that starts with {md5} was expected: "
            "it is damaged or another file; delete it and try again"
        )


def _download(url: str, target: Path, md5: str, progress: bool) -> None:
    part = target.with_name(target.name + ".part")
    resumed = part.exists()
    _receive(url, part, progress)
    try:
        verify(part, md5)
    except DownloadError as error:
        part.unlink()
        if not resumed:
            raise DownloadError(f"{url} sent another file than expected: {error}") from error
        _download(url, target, md5, progress)  # the part may have been of another file: once more, from the start
        return
    part.replace(target)


def _receive(url: str, part: Path, progress: bool) -> None:
    """Fill `part`, in as many attempts as bring a chunk each, but at most `TRIES` in a row that do not."""
    failures = 0
    while True:
        before = _size(part)
        try:
            _stream(url, part, progress)
            return
        except urllib.error.HTTPError as error:
            if error.code == 416 and _settle_range(part, error.headers.get("Content-Range", "")):
                return
            if error.code < 500 and error.code not in (*BUSY, 416):
                raise DownloadError(f"{url} answered {error.code} {error.reason}") from error
            reason = f"{error.code} {error.reason}"
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
            reason = str(getattr(error, "reason", error))
        failures = 0 if _size(part) >= before + CHUNK else failures + 1
        if failures == TRIES:
            raise DownloadError(f"{url} could not be reached: {reason}")
        time.sleep(PAUSE * 2**failures)


def _settle_range(part: Path, content_range: str) -> bool:
    """Nothing lies beyond the part: whether it is whole already; what is longer than the file is removed."""
    if content_range == f"bytes */{_size(part)}":
        return True
    part.unlink(missing_ok=True)
    return False


def _stream(url: str, part: Path, progress: bool) -> None:
    """Append what is missing; a server that cannot resume sends everything and the part starts anew."""
    have = _size(part)
    headers = {"User-Agent": "synchformer"} | ({"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
        have = _start(answer, have)
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=not progress)
        with part.open("ab" if have else "wb") as file, bar:
            while block := answer.read1(CHUNK):  # what has come, so that an interruption loses little
                file.write(block)
                bar.update(len(block))
    if total is not None and _size(part) < total:
        raise BrokenOffError("the connection broke off")


def _start(answer: HTTPResponse, have: int) -> int:
    """The byte at which the answer begins: `have` when the server resumes, 0 when it sends everything."""
    if answer.status != 206:
        return 0
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        raise BrokenOffError("the server sent another part than the one that is missing")
    return have


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
