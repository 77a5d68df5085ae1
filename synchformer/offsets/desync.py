"""DeSync of generated sound: the mean absolute offset that Synchformer finds, as others define it.

`avbench`: the first int(fps * duration) frames, their short side scaled to the crop's side (224), and the first
int(16,000 * duration) samples; a clip's score is the mean over its first and its last 14 segments of the absolute
likeliest class. `synchformer`: 5 s of both, short side 256, center crop 224, segments from 0.08 to 4.88 s; the absolute
likeliest class.

`avbench` is that of av-benchmark (github.com/hkchengrex/av-benchmark, commit 050a5cd), whose set score is the mean over
the 2N values; `synchformer` is what the published example does with a clip. Numbers in the literature use the AudioSet
weights in fp32: name the model beside every number. Every clip that was asked for gets a row; what cannot be scored
says why and is counted.

Shape legend: S segments of a clip, F frames of a segment, T frames, n samples.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.errors import sentence_of
from synchformer.inference.engine import check_model, encode_pictures, encode_sounds, synchronize
from synchformer.media.crop import Crop, center_crop
from synchformer.media.decode import read_media, read_picture, read_sound
from synchformer.media.preprocess import mel_spectrogram, normalize_frames
from synchformer.media.probe import MediaError
from synchformer.modeling.synchformer import Synchformer
from synchformer.stats.bootstrap import Mean, mean_of, sign_flip_p
from synchformer.storage.file_names import printable
from synchformer.storage.prefetch import prefetched
from synchformer.storage.results_table import Table
from synchformer.storage.video_files import find_videos

Mode = Literal["avbench", "synchformer"]
Status = Literal["ok", "unpaired", "unreadable", "too short"]
COLUMNS = ("key", "clip", "system", "status", "first", "last", "desync", "note")
DURATION = 8.0  # s: av-benchmark's


class TooShortError(MediaError):
    """A clip that does not fill the mode's duration."""


@dataclass(frozen=True)
class Pairing:
    """One clip of one system: its name, its picture, and its sound (None: that of the picture's file)."""

    name: str
    system: str
    picture: Path | None
    sound: Path | None = None

    @property
    def key(self) -> str:
        """What tells this row from all others."""
        return f"{self.system}/{self.name}"


@dataclass(frozen=True)
class ClipScore:
    """One row: `values` are the absolute offsets in seconds that the mode asks for (one or two), none if not scored."""

    pairing: Pairing
    status: Status
    values: tuple[float, ...] = ()
    note: str = ""

    @property
    def desync(self) -> float | None:
        """The clip's score in seconds."""
        return float(np.mean(self.values)) if self.values else None


@dataclass(frozen=True)
class SystemScore:
    """A system's mean over its scored clips, and how many of its clips ended in which status."""

    system: str
    mean: Mean | None
    counts: dict[str, int]


@dataclass(frozen=True)
class Comparison:
    """The mean difference first - second in seconds over clips that both systems have, and its two-sided p-value."""

    first: str
    second: str
    difference: Mean
    p: float


@dataclass(frozen=True)
class DesyncReport:
    """DeSync of a set: every clip, every system, and the comparison of two."""

    model: str
    mode: Mode
    clips: tuple[ClipScore, ...]
    systems: tuple[SystemScore, ...]
    comparison: Comparison | None


def pair_by_name(pictures: str | Path, sounds: tuple[Path, ...] = (), recursive: bool = False) -> list[Pairing]:
    """Every video of a folder with the sound of the same stem in each of the systems' folders.

    Sounds without a picture and pictures without a sound are pairings too, of which one half is missing.

    Raises:
        ValueError: when a folder does not exist or holds no videos, or two systems have the same name.
    """
    videos = {_stem(path, Path(pictures)): path for path in find_videos(pictures, recursive)[0]}
    if not videos:
        raise ValueError(f"{pictures} holds no video files; give the folder with the clips")
    if not sounds:
        return [Pairing(name, printable(Path(pictures).name) or "sound", path) for name, path in videos.items()]
    names = [folder.name for folder in sounds]
    if len(set(names)) < len(names):
        raise ValueError(f"the systems' folders need different names, not {' and '.join(names)}")
    pairings = []
    for folder in sounds:
        both = find_videos(folder, recursive)
        tracks = {_stem(path, folder): path for path in sorted([*both[0], *both[1]])}
        for name in sorted(videos.keys() | tracks.keys()):
            pairings.append(Pairing(name, printable(folder.name), videos.get(name), tracks.get(name, _MISSING)))
    return pairings


_MISSING = Path()


def _stem(path: Path, folder: Path) -> str:
    return printable(path.relative_to(folder).with_suffix(""))


def read_pairs(table: str | Path, folder: str | Path) -> list[Pairing]:
    """The pairings of a CSV file with a header: `video` and one column per system with its sound; paths from `folder`.

    Raises:
        ValueError: when there is no such file or no column `video` and one for a system.
    """
    table, folder = Path(table), Path(folder)
    if not table.is_file():
        raise ValueError(f"there is no file {table}; give a CSV file with the columns video and one for each system")
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        systems = [name for name in reader.fieldnames or () if name != "video"]
        if "video" not in (reader.fieldnames or ()) or not systems:
            columns = ", ".join(reader.fieldnames or ["none"])
            raise ValueError(f"{table} has the columns {columns}; needed are video and one for each system, such as "
                             "video,mine,theirs")  # fmt: skip
        return [
            Pairing(row["video"] or f"line {number}", system, *_places(folder, row["video"], row[system]))
            for number, row in enumerate(reader, start=2)
            for system in systems
        ]


def _places(folder: Path, video: str | None, sound: str | None) -> tuple[Path | None, Path]:
    return folder / video if video else None, folder / sound if sound else _MISSING


def score(
    model: Synchformer,
    pairings: Iterable[Pairing],
    mode: Mode = "avbench",
    *,
    duration: float = DURATION,
    workers: int = 2,
) -> Iterator[ClipScore]:
    """DeSync of every clip, in order; fp32, as defined.

    Args:
        model: a Synchformer with the offset head, in evaluation mode.
        pairings: pictures and sounds.
        mode: whose definition.
        duration: seconds of each clip in `avbench`.
        workers: threads that decode.

    Raises:
        ValueError: a model that cannot tell offsets, an unknown mode, or a duration that holds no window.
    """
    check_model(model, "offset")
    config = model.config
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}")
    if mode == "avbench" and duration < config.span_frames / config.video_fps:
        raise ValueError(f"duration must be at least {config.span_frames / config.video_fps:g} s, not {duration:g} s")
    for pairing, streams in prefetched(pairings, lambda each: _read(each, config, mode, duration), workers):
        if isinstance(streams, Exception):
            status: Status = "too short" if isinstance(streams, TooShortError) else "unreadable"
            yield ClipScore(pairing, status, note=sentence_of(streams))
        elif streams is None:
            missing = "no sound" if pairing.picture else "no picture"
            yield ClipScore(pairing, "unpaired", note=f"{missing} of this name")
        else:
            yield _scored(model, pairing, *streams)


def _scored(model: Synchformer, pairing: Pairing, pictures: Tensor, sounds: Tensor) -> ClipScore:
    """The score of a clip, or why there is none: a set's mean holds nothing but numbers."""
    try:
        return ClipScore(pairing, "ok", _values(model, pictures, sounds))
    except (ValueError, MemoryError) as error:
        return ClipScore(pairing, "unreadable", note=sentence_of(error))


def _read(pairing: Pairing, config: SynchformerConfig, mode: Mode, duration: float) -> tuple[Tensor, Tensor] | None:
    """Segments of picture (S, F, 3, H, W) in [-1, 1] and of sound (S, M, T); None when one half is missing."""
    if pairing.picture is None or pairing.sound == _MISSING:
        return None
    seconds = duration if mode == "avbench" else config.crop_seconds
    side = config.image_size if mode == "avbench" else config.short_side
    frames, samples = int(config.video_fps * seconds), int(config.sample_rate * seconds)
    video, audio = _streams(pairing, config, seconds, side)
    for name, stream, wanted, rate in (
        ("picture", video, frames, config.video_fps),
        ("sound", audio, samples, config.sample_rate),
    ):
        if len(stream) < wanted:
            raise TooShortError(f"its {name} lasts {len(stream) / rate:.2f} s, and mode {mode} needs {seconds:g} s")
    square = center_crop(video[:frames], config.image_size)
    if mode == "synchformer":
        clip = Crop(pairing.picture, config, square, audio[:samples], 0.0, 0.0, 0.0, 0.0)
        return clip.frames(), clip.mel()
    pictures = square.unfold(0, config.segment_frames, config.segment_stride).permute(0, 4, 1, 2, 3)
    sounds = audio[:samples].unfold(0, config.segment_samples, config.segment_stride * config.samples_per_frame)
    return normalize_frames(pictures), mel_spectrogram(sounds, config)


def _streams(pairing: Pairing, config: SynchformerConfig, seconds: float, side: int) -> tuple[Tensor, Tensor]:
    assert pairing.picture is not None
    fps, rate = config.video_fps, config.sample_rate
    if pairing.sound is None:
        media = read_media(pairing.picture, 0.0, seconds, short_side=side, video_fps=fps, sample_rate=rate)
        heard = round(media.info.audio.stop * rate)
        return media.video, media.audio[:heard]
    picture = read_picture(pairing.picture, seconds, short_side=side, video_fps=fps)
    return picture, read_sound(pairing.sound, seconds, sample_rate=rate)


def _values(model: Synchformer, pictures: Tensor, sounds: Tensor) -> tuple[float, ...]:
    """The absolute likeliest offsets of the first and of the last window; one where they are the same."""
    config = model.config
    video = encode_pictures(model, pictures, "fp32")[None]
    audio = encode_sounds(model, sounds, "fp32")[None]
    count = config.segments
    windows = [(video[:, :count], audio[:, :count])]
    if max(video.shape[1], audio.shape[1]) > count:
        windows.append((video[:, -count:], audio[:, -count:]))
    logits = torch.cat([synchronize(model, *window, "fp32") for window in windows])
    return tuple(abs(config.grid[int(best)]) for best in logits.argmax(dim=-1))


def summarize(model_name: str, mode: Mode, clips: Iterable[ClipScore]) -> DesyncReport:
    """Means with intervals for every system; two systems are compared over the clips that both have.

    The first two systems in order of appearance are compared.
    """
    clips = tuple(clips)
    systems = list(dict.fromkeys(clip.pairing.system for clip in clips))
    scores = {
        system: {clip.pairing.name: clip.desync for clip in clips if clip.pairing.system == system and clip.values}
        for system in systems
    }
    rows = []
    for system in systems:
        statuses = [clip.status for clip in clips if clip.pairing.system == system]
        values = np.array([value for value in scores[system].values() if value is not None])
        counts = {status: statuses.count(status) for status in get_args(Status)}
        rows.append(SystemScore(system, mean_of(values) if len(values) else None, counts))
    return DesyncReport(model_name, mode, clips, tuple(rows), _compare(systems, scores))


def _compare(systems: list[str], scores: dict[str, dict[str, float | None]]) -> Comparison | None:
    if len(systems) < 2:
        return None
    first, second = systems[:2]
    names = [name for name in scores[first] if name in scores[second]]
    if not names:
        return None
    differences = np.array([(scores[first][name] or 0.0) - (scores[second][name] or 0.0) for name in names])
    return Comparison(first, second, mean_of(differences), sign_flip_p(differences))


def desync(
    model: Synchformer,
    pairings: list[Pairing],
    mode: Mode = "avbench",
    *,
    model_name: str,
    out: str | Path | None = None,
    duration: float = DURATION,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> DesyncReport:
    """Score a set, into a table when asked, going on where an earlier run stopped.

    Args:
        model: as in `score`.
        pairings: pictures and sounds.
        mode: whose definition.
        model_name: named beside every number.
        out: `.csv` or `.parquet`; rows that it holds already are kept.
        duration: seconds of each clip in `avbench`.
        workers: threads that decode.
        progress: called with the number of clips that are done and their total.

    Raises:
        ValueError: as `score` and `Table`.
    """

    def counted(scores: Iterator[ClipScore], before: int) -> Iterator[ClipScore]:
        for done, each in enumerate(scores, start=before + 1):
            if progress:
                progress(done, len(pairings))
            yield each

    def scored(todo: list[Pairing]) -> Iterator[ClipScore]:
        return counted(score(model, todo, mode, duration=duration, workers=workers), len(pairings) - len(todo))

    if out is None:
        return summarize(model_name, mode, scored(pairings))
    named = f"{mode}, {duration:g} s" if mode == "avbench" else mode
    with Table(out, COLUMNS, {"model": model_name, "mode": named}) as table:
        known, fresh = {row["key"]: row for row in table.rows}, {}
        for each in scored([each for each in pairings if each.key not in known]):
            fresh[each.pairing.key] = each
            table.add(_as_row(each))
    whole = [fresh.get(each.key) or _from_row(each, known[each.key]) for each in pairings]
    return summarize(model_name, mode, whole)


def _as_row(score: ClipScore) -> dict[str, object]:
    values = [*score.values, None, None]
    return {
        "key": score.pairing.key,
        "clip": score.pairing.name,
        "system": score.pairing.system,
        "status": score.status,
        "first": values[0],
        "last": values[1],
        "desync": score.desync,
        "note": score.note,
    }


def _from_row(pairing: Pairing, row: dict[str, str]) -> ClipScore:
    values = tuple(float(row[name]) for name in ("first", "last") if row[name])
    status = next(known for known in get_args(Status) if known == row["status"])
    return ClipScore(pairing, status, values, row["note"])
