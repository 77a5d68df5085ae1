"""Which picture and which sound of a file are measured: what a player would choose, among those that can be decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import av
from av.container import InputContainer
from av.stream import Disposition

from synchformer.media.container import MediaError

COVERS = Disposition.attached_pic | Disposition.still_image
ASIDE = Disposition.comment | Disposition.visual_impaired | Disposition.hearing_impaired  # not the main program

Kind = Literal["picture", "sound"]
S = TypeVar("S", av.VideoStream, av.AudioStream)


@dataclass(frozen=True)
class Track:
    """One stream among those of its kind.

    `index` counts all streams of the file from 0, `position` those of the kind from 1, of which there are `count`;
    `unreadable` are the positions of those that cannot be decoded.
    """

    kind: Kind
    index: int
    position: int
    count: int
    codec: str
    language: str | None = None
    title: str | None = None
    unreadable: tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        """Which one it is, in words."""
        known = ", ".join(part for part in (self.codec, self.language, self.title) if part)
        text = f"Measured: {self.kind} track {self.position} of {self.count} ({known})"
        if not self.unreadable:
            return f"{text}."
        which = " and ".join(map(str, self.unreadable))
        return f"{text}; track {which} cannot be decoded."


def pick_video(container: InputContainer, path: Path) -> tuple[av.VideoStream, Track]:
    """The video stream that a player shows: the first default one that can be decoded, else the first; no cover.

    Raises:
        MediaError: when there is none.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & COVERS]
    if not streams:
        contents = "a cover picture and sound" if container.streams.video else "sound alone"
        contents = contents if container.streams.audio else "neither video nor sound"
        raise MediaError(f"{path.name} has no video stream (it holds {contents}); give a video with sound")
    usable = [stream for stream in streams if stream.codec_context is not None and stream.width]
    return _pick("picture", streams, usable, path)


def pick_audio(container: InputContainer, path: Path) -> tuple[av.AudioStream, Track]:
    """The audio stream that a player plays: the first default one that can be decoded, else the first.

    Raises:
        MediaError: when there is none.
    """
    streams = list(container.streams.audio)
    if not streams:
        raise MediaError(f"{path.name} has no sound; synchronization needs picture and sound")
    usable = [stream for stream in streams if stream.codec_context is not None and stream.rate]
    return _pick("sound", streams, usable, path)


def _pick(kind: Kind, streams: Sequence[S], usable: Sequence[S], path: Path) -> tuple[S, Track]:
    if not usable:
        none = f"none of its {len(streams)} {kind} tracks" if len(streams) > 1 else f"no {kind} track of it"
        raise MediaError(
            f"{none} can be decoded in {path.name} (unknown codec, or nothing in it); convert it to H.264 and AAC"
        )
    defaults = [stream for stream in usable if stream.disposition & Disposition.default]
    main = [stream for stream in usable if not stream.disposition & ASIDE]
    chosen = (defaults or main or usable)[0]
    places = {stream.index: position for position, stream in enumerate(streams, start=1)}
    readable = {stream.index for stream in usable}
    track = Track(
        kind,
        chosen.index,
        places[chosen.index],
        len(streams),
        chosen.codec_context.name,
        language=_known(chosen.metadata.get("language")),
        title=chosen.metadata.get("title"),
        unreadable=tuple(places[stream.index] for stream in streams if stream.index not in readable),
    )
    return chosen, track


def _known(language: str | None) -> str | None:
    return None if language in (None, "und") else language
