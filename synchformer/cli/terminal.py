"""What every command does with its output streams: it writes any text, and ends quietly when nobody reads on."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TextIO

from synchformer.storage.file_names import STREAM_ERRORS
from synchformer.storage.json_text import to_json

OUTPUT_CLOSED = 141  # 128 + SIGPIPE: the status of a program whose reader went away, such as `head`

Arguments = ParamSpec("Arguments")


class OutputClosedError(BaseException):
    """Nobody reads the output any more. No `Exception`, so that no command takes it for a broken file."""


def command(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Make a command's `main` write any file name to any terminal, and return `OUTPUT_CLOSED` when its reader leaves.

    Args:
        main: returns the exit status.
    """

    @wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        try:
            with _watched_streams():
                return main(*args, **kwargs)
        except OutputClosedError:
            _silence()
            return OUTPUT_CLOSED

    return run


def print_json(values: Any) -> None:
    """Print values as one line of JSON, at once; as ASCII where the output takes nothing else.

    Raises:
        NotFiniteError, TypeError: as `to_json`.
    """
    print(to_json(values, ascii_only=not can_print("é映🎬")), flush=True)


def can_print(text: str) -> bool:
    """Whether the output has these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _watched_streams() -> Iterator[None]:
    streams = sys.stdout, sys.stderr
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=STREAM_ERRORS)
    sys.stdout, sys.stderr = (_watched(stream) for stream in streams)
    try:
        yield
    finally:
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        finally:
            sys.stdout, sys.stderr = streams


def _watched(stream: TextIO | None) -> Any:
    return stream if stream is None or isinstance(stream, _Watched) else _Watched(stream)


class _Watched:
    """A stream whose broken pipe is an `OutputClosedError`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, as a stream does."""
        with _broken_pipe_as_closed():
            return self._stream.write(text)

    def flush(self) -> None:
        """Flush, as a stream does."""
        with _broken_pipe_as_closed():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _broken_pipe_as_closed() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosedError from error


def _silence() -> None:
    """Let what is still in the buffers go nowhere, for the interpreter flushes them once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except BrokenPipeError:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
