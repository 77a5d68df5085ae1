"""Text subtitles between containers that write them differently: QuickTime's timed text, SubRip, ASS, WebVTT."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

Convert = Callable[[bytes], bytes | None]

REWRITES = hasattr(OutputContainer, "add_mux_stream")  # PyAV's older releases make no stream without an encoder
PLAIN_STYLE = (
    "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, "
    "SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, "
    "BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\nStyle: Default,Arial,16,&Hffffff,"
    "&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0\n\n[Events]\nFormat: Layer, Start, End, Style, Name, "
    "MarginL, MarginR, MarginV, Effect, Text\n"
)
ASS_FIELDS = 8  # commas before the text of an event in Matroska


def convertible(codec: str, wanted: str | None) -> bool:
    """Whether the words of these subtitles can be written as `wanted`; fonts and places on the screen are lost."""
    return REWRITES and codec in READERS and wanted in WRITERS


def add_text(target: OutputContainer, wanted: str) -> Stream:
    """A stream for text subtitles of the kind `wanted`."""
    if wanted != "mov_text":
        return target.add_mux_stream(wanted)
    stream = target.add_stream(wanted)
    context: Any = stream.codec_context
    context.subtitle_header = PLAIN_STYLE.encode()
    return stream


def converted(packet: Packet[Any], codec: str, wanted: str) -> Packet[Any] | None:
    """The packet's words written as `wanted`, with its times; None when it holds none."""
    words = READERS[codec](bytes(packet)).strip()
    if not words:
        return None
    new: Packet[Any] = Packet(WRITERS[wanted](words))
    new.time_base = packet.time_base
    new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
    return new


def _from_mov_text(data: bytes) -> str:
    """The words stand behind their length, boxes of styles behind them."""
    raw = data[2 : 2 + int.from_bytes(data[:2], "big")]
    if raw[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8", "replace")


def _from_subrip(data: bytes) -> str:
    return re.sub(r"</?[a-zA-Z][^>]*>|\{\\[^}]*\}", "", data.decode("utf-8", "replace"))


def _from_ass(data: bytes) -> str:
    text = data.decode("utf-8", "replace").split(",", ASS_FIELDS)[-1]
    return re.sub(r"\{[^}]*\}", "", text).replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " ")


READERS: dict[str, Callable[[bytes], str]] = {
    "mov_text": _from_mov_text,
    "subrip": _from_subrip,
    "text": _from_subrip,
    "webvtt": _from_subrip,
    "ass": _from_ass,
}
WRITERS: dict[str, Callable[[str], bytes]] = {
    "mov_text": lambda words: len(words.encode()).to_bytes(2, "big") + words.encode(),
    "subrip": str.encode,
    "webvtt": str.encode,
}
