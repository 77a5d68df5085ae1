"""What containers can hold, tried and not listed: a header is written to memory before a copy is begun.

Tables of what a format takes are wrong sooner or later. The muxer itself says it, in microseconds.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.stream import DataStream, Stream

from synchformer.media.probe import MediaError


@dataclass(frozen=True)
class Container:
    """A container that copies are written to.

    `family` names containers whose codec tags mean the same; `options` are the muxer's. `hides_start` is True where an
    edit list can hide a sound's first packet, which its successor needs to be decoded. `codecs` limits what is tried:
    FFmpeg's muxer of FLV ends the process for a codec that it does not know, that of transport streams writes it as
    data that no player understands. `advised` is the place at which the suffix is named where another one fails.
    """

    muxer: str
    family: str
    options: dict[str, str] = field(default_factory=dict)
    hides_start: bool = False
    text_subtitles: str | None = None
    attachments: bool = False
    codecs: frozenset[str] | None = None
    advised: int | None = None
    in_browsers: bool = False


# `unofficial` lets FFmpeg write records of Dolby Vision, which no edition of the standards has.
_ISO = {"movflags": "+faststart", "strict": "unofficial"}
_TS = {"strict": "unofficial"}
_TS_CODECS = frozenset(
    {"h264", "hevc", "vvc", "mpeg1video", "mpeg2video", "mpeg4", "cavs", "avs2", "avs3", "dirac", "vc1"}
    | {"aac", "aac_latm", "mp1", "mp2", "mp3", "ac3", "eac3", "ac4", "dts", "truehd", "opus", "pcm_bluray", "s302m"}
    | {"dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle", "arib_caption", "klv", "timed_id3", "scte_35"}
)
_FLV_CODECS = frozenset(["flv1", "flashsv", "flashsv2", "vp6f", "vp6a", "h264", "aac", "mp3", "speex", "nellymoser"])
CONTAINERS = {
    ".mp4": Container("mp4", "iso", _ISO, hides_start=True, text_subtitles="mov_text", advised=1, in_browsers=True),
    ".m4v": Container("mp4", "iso", _ISO, hides_start=True, text_subtitles="mov_text"),
    ".mov": Container("mov", "iso", _ISO, hides_start=True, text_subtitles="mov_text", advised=2),
    ".qt": Container("mov", "iso", _ISO, hides_start=True, text_subtitles="mov_text"),
    ".3gp": Container("3gp", "iso", _ISO, hides_start=True),
    ".3g2": Container("3g2", "iso", _ISO, hides_start=True),
    ".webm": Container("webm", "matroska", text_subtitles="webvtt", in_browsers=True),
    ".mkv": Container(
        "matroska", "matroska", {"strict": "unofficial"}, text_subtitles="subrip", attachments=True, advised=0
    ),
    ".ts": Container("mpegts", "mpegts", _TS, codecs=_TS_CODECS, advised=3),
    ".m2ts": Container("mpegts", "mpegts", _TS | {"mpegts_m2ts_mode": "1"}, codecs=_TS_CODECS),
    ".mts": Container("mpegts", "mpegts", _TS | {"mpegts_m2ts_mode": "1"}, codecs=_TS_CODECS),
    ".wmv": Container("asf", "riff", advised=4),
    ".asf": Container("asf", "riff"),
    ".flv": Container("flv", "flv", codecs=_FLV_CODECS),
}
FAMILIES = {"mov": "iso", "mp4": "iso", "matroska": "matroska", "webm": "matroska", "mpegts": "mpegts",
            "avi": "riff", "asf": "riff", "flv": "flv"}  # fmt: skip
ADVISED = sorted((suffix for suffix, each in CONTAINERS.items() if each.advised is not None),
                 key=lambda suffix: CONTAINERS[suffix].advised or 0)  # fmt: skip

# What Chromium and Firefox decode without help from the system, and the containers that they play.
BROWSER_CODECS = frozenset(("h264", "vp8", "vp9", "av1", "aac", "mp3", "opus", "vorbis", "flac"))
PLAYED = tuple(suffix for suffix, each in CONTAINERS.items() if each.in_browsers)

# Since this release a stream can be made of another's parameters without asking a list of codecs first.
MUX_ONLY = tuple(map(int, av.__version__.split(".")[:2])) >= (18, 1)
STAND_INS = {"video": "h264", "audio": "aac"}  # codecs that every container knows, replaced at once


def container_of(out: Path) -> Container:
    """The container that a name's suffix stands for.

    Raises:
        ValueError: for another suffix.
    """
    container = CONTAINERS.get(out.suffix.lower())
    if out.suffix.lower() == ".avi":
        raise ValueError(
            f"cannot write {out.name}: AVI keeps no times of sound, which cannot be moved exactly in it; name the copy "
            f"{out.stem}.mkv"
        )
    if container is None:
        raise ValueError(f"cannot write {out.name}: its suffix must be one of {', '.join(CONTAINERS)}")
    return container


def family_of(format_name: str) -> str:
    """The family of a demuxer's name, such as `mov,mp4,m4a,3gp,3g2,mj2`; the name itself for others."""
    return FAMILIES.get(format_name.split(",", maxsplit=1)[0], format_name)


def stream_codec(stream: Stream) -> str:
    """A stream's codec; `unknown` where FFmpeg knows none."""
    context = stream.codec_context
    if context is not None:
        return context.codec.canonical_name
    return str(stream.name or "unknown") if isinstance(stream, DataStream) else "unknown"


def add_copy(target: OutputContainer, stream: Stream, container: Container) -> Stream:
    """A stream of `target` for the packets of `stream`, with its codec tag where that means the same there.

    Raises:
        ValueError: when the container cannot hold it (see `takes`).
    """
    tag = None
    if stream.codec_context is not None and container.family == family_of(stream.container.format.name):
        tag = stream.codec_context.codec_tag
        tag = tag if tag.strip("\0") and takes(container, stream, tag) else None
    return _add(target, stream, tag)


def _add(target: OutputContainer, stream: Stream, tag: str | None) -> Stream:
    try:
        copy = target.add_stream_from_template(stream, opaque=True)
        if tag is not None and copy.codec_context is not None:
            copy.codec_context.codec_tag = tag
        return copy
    except ValueError:
        known = stream.type in STAND_INS and stream.codec_context is not None
        if not MUX_ONLY or not known or target.format.name != "matroska":  # which holds all that AVI and ASF hold
            raise
    bare = target.add_mux_stream(STAND_INS[stream.type])
    if family_of(stream.container.format.name) == "riff":
        BitStreamFilterContext("null", in_stream=stream, out_stream=bare)
    else:
        _describe_as_riff(stream, bare)
    if stream.time_base is not None:
        bare.time_base = stream.time_base
    return bare


def _describe_as_riff(stream: Stream, bare: Stream) -> None:
    """Describe `bare` like `stream`, with the tag that AVI has for its codec: so Matroska holds codecs of others."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="avi") as target:
        target.add_stream_from_template(stream, opaque=True)
        target.start_encoding()
    memory.seek(0)
    with av.open(memory, format="avi") as twin:
        BitStreamFilterContext("null", in_stream=twin.streams[0], out_stream=bare)


def takes(container: Container, stream: Stream, tag: str | None = None) -> bool:
    """Whether a container can hold a stream: whether its muxer writes a header with it."""
    if container.codecs is not None and stream_codec(stream) not in container.codecs:
        return False
    target = av.open(io.BytesIO(), "w", format=container.muxer, options={"strict": "unofficial"})
    try:
        _add(target, stream, tag)
        target.start_encoding()
    except (ValueError, av.error.FFmpegError):  # PyAV's word for an unfit codec, FFmpeg's for unfit parameters
        return False
    finally:
        with suppress(ValueError, av.error.FFmpegError):
            target.close()  # by hand: left to the garbage collector, it may outlive its memory
    return True


def require_fit(path: Path, out: Path, streams: Iterable[Stream]) -> None:
    """Refuse a container that cannot hold these pictures and sounds, and name one that can.

    Raises:
        MediaError: when it cannot.
    """
    streams, container = list(streams), container_of(out)
    unfit = [stream for stream in streams if not takes(container, stream)]
    if unfit:
        names = " and ".join(dict.fromkeys(map(stream_codec, unfit)))
        raise MediaError(f"{out.suffix} cannot hold {names} of {path.name}; {advice(path, streams, out.suffix)}")


def advice(path: Path, streams: Iterable[Stream], failed: str) -> str:
    """A suffix that works for these streams, as the second half of a sentence; never the one that failed."""
    streams = list(streams)
    candidates = dict.fromkeys((path.suffix.lower(), *ADVISED))
    for suffix in candidates:
        if (
            suffix != failed.lower()
            and suffix in CONTAINERS
            and all(takes(CONTAINERS[suffix], stream) for stream in streams)
        ):
            return f"name the copy *{suffix}"
    return "convert it to H.264 and AAC first"
