"""What visitors opened and what was made of it: clips, shifted copies, features, attributions.

One workspace serves every visitor and every model. A clip is known by a key that cannot be guessed; everything is
bounded, in number or in bytes; files are removed with the workspace.
"""

from __future__ import annotations

import math
import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from attribution.result import Attribution
from interface.session.allocator import release
from interface.session.cache import BoundedCache
from interface.session.errors import PageError, page_errors
from interface.session.limits import SLIDER_STEP
from interface.session.upload_checks import check_file, notes_on_file
from synchformer.config import SynchformerConfig
from synchformer.copies.remux import browser_note, suited_suffix, write_shifted
from synchformer.inference.prediction import Encoding, Prediction
from synchformer.inference.sliding_windows import Window
from synchformer.inference.sweep import Sounds
from synchformer.media.crop import possible_starts
from synchformer.media.probe import Media, MediaInfo

CACHE_BYTES = 256 * 2**20
CLIPS_HELD = 200  # opened clips; each is a path and a few numbers
COPIES_HELD = 24  # shifted copies on disk
RESULTS_HELD = 200  # attributions; each is a few tens of kilobytes
PLAYED_SECONDS = 60.0  # a longer clip is played from `start` for this long
ANSWER_BYTES = 2500  # of one answer, roughly: two tuples of 21 numbers
BUSY_SECONDS = 60.0  # how long a request waits for the model

FeatureName = tuple[str, str, float]  # the model's name, the clip's key, where the crop starts
CopyName = tuple[str, float | None, float]  # the clip's key, where the copy starts, and how far the sound was moved


@dataclass(frozen=True)
class Upload:
    """A clip that a visitor opened. Times are in seconds on the file's own clock.

    `first_start` and `last_start` bound the crop of the model that opened it; `start` is a good first choice.
    """

    key: str
    path: Path
    name: str
    seconds: float
    first_start: float
    last_start: float
    start: float
    note: str | None
    info: MediaInfo

    @property
    def long(self) -> bool:
        """Whether only a part of it is played: the copy then begins at the start of the crop."""
        return self.seconds > PLAYED_SECONDS


@dataclass(frozen=True)
class Answer:
    """What the model says of a crop, and what the crop lacks: with anything of that, no answer tells.

    `notes` are the sentences of `upload_checks.notes_on_clip`, of which those of `crop_checks.lacks` are the last.
    """

    prediction: Prediction
    notes: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @property
    def is_conclusive(self) -> bool:
        """Whether there is one clear peak, and a reason to believe it."""
        return self.prediction.is_conclusive and not self.lacks

    @property
    def sentence(self) -> str:
        """The result in words; where the crop lacks something, that."""
        if not self.lacks:
            return self.prediction.sentence
        reason = self.lacks[0].split(". ")[0].rstrip(".")
        return f"cannot tell — {reason[0].lower()}{reason[1:]}"


@dataclass(frozen=True)
class Prepared:
    """The crop at one start: its picture's features, and the picture and sound around it for every offset.

    `sounds` and `answers` grow as offsets are asked for; offsets of whole frames only, so that their number is bounded.
    `elsewhere` is filled when the answer is tested, by two other starts at most.
    """

    encoding: Encoding
    media: Media
    sounds: Sounds
    still: bool
    answers: dict[int, Answer] = field(default_factory=dict)  # by the offset in frames
    elsewhere: dict[float, tuple[Window, ...]] = field(default_factory=dict)  # answers at other starts of the clip

    @property
    def size(self) -> int:
        """Bytes held."""
        media = self.media.video.nbytes + self.media.audio.nbytes
        return media + self.encoding.size + self.sounds.size + ANSWER_BYTES * len(self.answers)


class Workspace:
    """Clips, copies, features and attributions of all visitors, and the one turn at the accelerator.

    Args:
        cache_bytes: most that is kept of features and decoded media.
    """

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self.features: BoundedCache[FeatureName, Prepared] = BoundedCache(cache_bytes, lambda prepared: prepared.size)
        self.folder = tempfile.TemporaryDirectory(prefix="synchformer-")
        self._attributions: BoundedCache[str, Attribution] = BoundedCache(RESULTS_HELD, lambda _: 1)
        self._clips: OrderedDict[str, Upload] = OrderedDict()
        self._copies: OrderedDict[CopyName, Path] = OrderedDict()
        self._books = threading.Lock()  # for the two tables above
        self._accelerator = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the accelerator, but not for ever.

        Raises:
            PageError: when others kept it busy for a minute.
        """
        if not self._accelerator.acquire(timeout=BUSY_SECONDS):
            raise PageError("The model is busy with other visitors; try again in a moment.")
        try:
            yield
        finally:
            self._accelerator.release()

    def open(self, path: Path, config: SynchformerConfig) -> Upload:
        """Take note of a video, and choose a start from which its sound can be moved both ways.

        Raises:
            PageError: when the file is no video with sound, or too short; a sentence for the visitor.
        """
        with page_errors(path.name):
            info = check_file(path, config)
            first, last = on_grid(*possible_starts(info, config))
            clip = Upload(
                key=secrets.token_urlsafe(16),
                path=path,
                name=path.name,
                seconds=info.seconds,
                first_start=first,
                last_start=last,
                start=middle(first, last),
                note=" ".join([*notes_on_file(info, config), browser_note(path) or ""]).strip() or None,
                info=info,
            )
        with self._books:
            self._clips[clip.key] = clip
            while len(self._clips) > CLIPS_HELD:
                self._clips.popitem(last=False)
        return clip

    def opened(self, key: object, config: SynchformerConfig) -> Upload:
        """A clip that was opened, with the bounds that hold for a model of these sizes.

        Raises:
            PageError: when it is not held any more, or too short for this model.
        """
        with self._books:
            clip = self._clips.get(key) if isinstance(key, str) else None
        if clip is None or not clip.path.exists():
            raise PageError("This clip is no longer kept here; choose the video again.")
        with page_errors(clip.name):
            first, last = on_grid(*possible_starts(clip.info, config))
        return replace(clip, first_start=first, last_start=last, start=middle(first, last))

    def forget(self, key: object) -> None:
        """Drop a clip and all that was made of it; an unknown key is no error. The visitor's own file is left alone."""
        with self._books:
            self._clips.pop(key, None)  # type: ignore[call-overload]
            for name in [name for name in self._copies if name[0] == key]:
                self._copies.pop(name).unlink(missing_ok=True)
        self.features.drop(lambda name: name[1] == key)
        release()

    def shifted(self, clip: Upload, start: float, offset: float) -> Path:
        """A copy of a clip with its sound moved, to be played; of a long one, a part from `start` on.

        Raises:
            PageError: when the clip cannot be copied.
        """
        offset = round(offset, 2)
        part = round(start, 2) if clip.long else None
        name = (clip.key, part, offset)
        with self._books:
            kept = self._copies.get(name)
        if kept is not None and kept.exists():
            return kept
        with page_errors(clip.name):
            out = self.file(f"{offset:+.2f}s{suited_suffix(clip.path)}")
            length = None if part is None else PLAYED_SECONDS
            write_shifted(clip.path, offset, out, start=part, seconds=length)
        with self._books:
            self._copies[name] = out
            while len(self._copies) > COPIES_HELD:
                self._copies.popitem(last=False)[1].unlink(missing_ok=True)
        return out

    def file(self, ending: str) -> Path:
        """A new name in the workspace's own folder, which nobody can guess; nothing of the visitor's is in it."""
        return Path(self.folder.name) / f"{secrets.token_hex(8)}_{ending}"

    def keep(self, attribution: Attribution, key: str | None = None) -> str:
        """Keep an attribution, also a partial one, and hand out the key by which `kept` finds it again."""
        key = key or secrets.token_urlsafe(16)
        self._attributions.put(key, attribution)
        return key

    def kept(self, key: object) -> Attribution:
        """An attribution that was kept.

        Raises:
            PageError: when it is not held any more.
        """
        attribution = self._attributions.get(key) if isinstance(key, str) else None
        if attribution is None:
            raise PageError("This attribution is no longer kept here; attribute the clip again.")
        return attribution


def on_grid(first: float, last: float) -> tuple[float, float]:
    """The possible starts as the slider counts them: whole frames, none outside."""
    frames = math.ceil(first / SLIDER_STEP - 1e-6), math.floor(last / SLIDER_STEP + 1e-6)
    return round(frames[0] * SLIDER_STEP, 2), round(max(frames) * SLIDER_STEP, 2)


def middle(first: float, last: float) -> float:
    """A start in the middle of the possible ones: the sound can then be moved both ways."""
    return on_grid((first + last) / 2, last)[0]
