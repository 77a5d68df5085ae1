"""What the page remembers: opened clips, their features, shifted copies; and errors as sentences.

One session serves every visitor. It holds no setting that a request could change: a visitor's clip is known by a key
that cannot be guessed, features are kept in a store bounded in bytes, and one lock lets the model answer one request
at a time.
"""

from __future__ import annotations

import logging
import math
import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interface.cache import BoundedCache
from interface.view import View, prediction_view
from synchformer.clip import cut_clip, possible_starts
from synchformer.media import Media, MediaError, probe
from synchformer.model import Synchformer
from synchformer.prediction import Encoding, Precision, Prediction, decide, encode
from synchformer.shift import browser_note, suited_suffix, write_shifted
from synchformer.sweep import read_around

log = logging.getLogger(__name__)

CACHE_BYTES = 256 * 2**20
CLIPS_HELD = 200  # opened clips; each is a path and a few numbers
COPIES_HELD = 24  # shifted copies on disk
WHOLE_CLIP_SECONDS = 60.0  # a longer clip is played from `start` for this long
START_STEP = 0.04  # seconds: one frame at 25 fps
BUSY_SECONDS = 60.0  # how long a request waits for the model

CopyName = tuple[str, float | None, float]  # the clip's key, where the copy starts, and how far the sound was moved


class PageError(ValueError):
    """A sentence for the visitor."""


@dataclass(frozen=True)
class Opened:
    """A clip that a visitor opened. Times are in seconds on the file's own clock."""

    key: str
    path: Path
    name: str
    seconds: float
    first_start: float
    last_start: float
    start: float
    note: str | None


@dataclass(frozen=True)
class Prepared:
    """The crop at one start: its picture's features, and the sound around it for every offset."""

    encoding: Encoding
    media: Media

    @property
    def size(self) -> int:
        """Bytes held."""
        return self.encoding.size + self.media.video.nbytes + self.media.audio.nbytes


@contextmanager
def sentences(name: str = "the clip") -> Iterator[None]:
    """Turn whatever goes wrong inside into a `PageError`; what nobody foresaw goes to the log in full."""
    try:
        yield
    except PageError:
        raise
    except (MediaError, ValueError) as error:
        raise PageError(str(error)) from error
    except Exception as error:
        log.exception("unexpected error while working on %s", name)
        raise PageError("Something unforeseen went wrong with this clip; the server's log says what.") from error


class Session:
    """Clips, features and shifted copies behind one model."""

    def __init__(
        self, model: Synchformer, *, name: str = "mini", precision: Precision = "auto", cache_bytes: int = CACHE_BYTES
    ) -> None:
        if model.config.head != "offset":
            raise ValueError(f"the page needs a model with the offset head, not {model.config.head}")
        self.model = model
        self.name = name
        self.precision: Precision = precision
        self._features: BoundedCache[Prepared] = BoundedCache(cache_bytes, lambda prepared: prepared.size)
        self._clips: OrderedDict[str, Opened] = OrderedDict()
        self._copies: OrderedDict[CopyName, Path] = OrderedDict()
        self._folder = tempfile.TemporaryDirectory(prefix="synchformer-")
        self._books = threading.Lock()  # for the two tables above
        self._model_lock = threading.Lock()

    @property
    def device(self) -> str:
        """Where the model runs: `cpu` or `cuda`."""
        return next(self.model.parameters()).device.type

    def open(self, path: Path) -> Opened:
        """Take note of a video, and choose a start from which its sound can be moved both ways.

        Raises:
            PageError: when the file is no video with sound, or too short; a sentence for the visitor.
        """
        with sentences(path.name):
            first, last = on_grid(*possible_starts(probe(path), self.model.config))
            clip = Opened(
                key=secrets.token_urlsafe(16),
                path=path,
                name=path.name,
                seconds=probe(path).seconds,
                first_start=first,
                last_start=last,
                start=middle(first, last),
                note=browser_note(path),
            )
        with self._books:
            self._clips[clip.key] = clip
            while len(self._clips) > CLIPS_HELD:
                self._clips.popitem(last=False)
        return clip

    def view(self, key: object, start: object, offset: object) -> View:
        """The result card for an opened clip; the arguments come from the browser and are checked.

        Raises:
            PageError: when the clip is not held any more, or cannot be measured there.
        """
        clip = self._clip(key)
        start, offset = _number("start", start), _number("offset", offset)
        prediction = self._measure(clip, start, offset)
        return prediction_view(prediction, key=clip.key, start=start, model=self.name, device=self.device)

    def measure_file(self, path: Path, start: float, offset: float) -> dict[str, Any]:
        """What the endpoint `/predict` answers: the fields of `synchformer predict --json`, less the file's name.

        Raises:
            PageError: when the file cannot be measured there.
        """
        clip = self.open(path)
        prediction = self._measure(clip, _number("start", start), _number("offset", offset))
        return {
            "model": self.name,
            "start": start,
            "applied_offset": prediction.applied_offset,
            "offset": prediction.offset,
            "confidence": prediction.confidence,
            "grid": list(prediction.grid),
            "probabilities": list(prediction.probabilities),
            "sentence": prediction.sentence,
        }

    def shifted(self, key: object, start: object, offset: object) -> Path:
        """A copy of an opened clip with its sound moved, to be played.

        Raises:
            PageError: when the clip is not held any more or cannot be copied.
        """
        clip = self._clip(key)
        start, offset = _number("start", start), round(_number("offset", offset), 2)
        part = None if clip.seconds <= WHOLE_CLIP_SECONDS else round(start, 2)
        name = (clip.key, part, offset)
        with self._books:
            kept = self._copies.get(name)
        if kept is not None and kept.exists():
            return kept
        with sentences(clip.name):
            out = Path(self._folder.name) / f"{secrets.token_hex(8)}_{offset:+.2f}s{suited_suffix(clip.path)}"
            length = None if part is None else WHOLE_CLIP_SECONDS
            write_shifted(clip.path, offset, out, start=part, seconds=length)
        self._keep_copy(name, out)
        return out

    def _keep_copy(self, name: CopyName, out: Path) -> None:
        with self._books:
            self._copies[name] = out
            while len(self._copies) > COPIES_HELD:
                self._copies.popitem(last=False)[1].unlink(missing_ok=True)

    def _clip(self, key: object) -> Opened:
        with self._books:
            clip = self._clips.get(key) if isinstance(key, str) else None
        if clip is None or not clip.path.exists():
            raise PageError("This clip is no longer kept here; choose the video again.")
        return clip

    def _measure(self, clip: Opened, start: float, offset: float) -> Prediction:
        """One prediction; the picture is decoded and encoded once for every start."""
        with sentences(clip.name), self._turn():
            kept = self._features.get((clip.key, start))
            if kept is None:
                return self._measure_afresh(clip, start, offset)
            cut = cut_clip(kept.media, start, offset, config=self.model.config)
            encoding = encode(self.model, cut, precision=self.precision, like=kept.encoding)
            return decide(self.model, encoding, precision=self.precision)

    def _measure_afresh(self, clip: Opened, start: float, offset: float) -> Prediction:
        begin = time.perf_counter()
        media = read_around(self.model, clip.path, start)
        cut = cut_clip(media, start, offset, config=self.model.config)
        decode = time.perf_counter() - begin
        encoding = encode(self.model, cut, precision=self.precision)
        self._features.put((clip.key, start), Prepared(encoding, media))
        prediction = decide(self.model, encoding, precision=self.precision)
        return replace(prediction, timing=replace(prediction.timing, decode=decode))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the model, but not for ever."""
        if not self._model_lock.acquire(timeout=BUSY_SECONDS):
            raise PageError("The model is busy with other visitors; try again in a moment.")
        try:
            yield
        finally:
            self._model_lock.release()


def on_grid(first: float, last: float) -> tuple[float, float]:
    """The possible starts as the slider counts them: whole frames, none outside."""
    frames = math.ceil(first / START_STEP - 1e-6), math.floor(last / START_STEP + 1e-6)
    return round(frames[0] * START_STEP, 2), round(max(frames) * START_STEP, 2)


def middle(first: float, last: float) -> float:
    """A start in the middle of the possible ones: the sound can then be moved both ways."""
    return on_grid((first + last) / 2, last)[0]


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise PageError(f"The {name} must be a number of seconds.")
    return float(value)
