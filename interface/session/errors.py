"""Whatever goes wrong becomes one sentence for the visitor."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from synchformer.errors import sentence_of
from synchformer.storage.file_names import encodable

log = logging.getLogger(__name__)


class PageError(ValueError):
    """A sentence for the visitor."""

    def __init__(self, sentence: str) -> None:
        super().__init__(encodable(sentence))  # a file's name in it may be no UTF-8, which no reply can carry


@contextmanager
def page_errors(name: str = "the clip") -> Iterator[None]:
    """Turn whatever goes wrong inside into a `PageError`; what nobody foresaw goes to the log in full."""
    try:
        yield
    except PageError:
        raise
    except (ValueError, MemoryError) as error:  # ours: MediaError, CheckpointError, settings out of range; FFmpeg's
        raise PageError(sentence_of(error)) from error
    except gr.Error as error:  # ZeroGPU's: no time left, or its worker ended
        raise PageError(str(error.message)) from error
    except Exception as error:
        log.exception("unexpected error while working on %s", name)
        raise PageError("Something unforeseen went wrong with this clip; the server's log says what.") from error


def number(name: str, value: object) -> float:
    """A number of seconds that came from outside.

    Raises:
        PageError: when it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise PageError(f"The {name} must be a number of seconds.")
    return float(value)
