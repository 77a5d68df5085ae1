"""How a file is opened: by its content, alone, under any name; FFmpeg's errors become sentences (`open_container`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

# What a file's content may be, whatever its name says. Playlists and manifests (HLS, DASH, concat, SDP, IMF) and
# scripts are left out: they make FFmpeg open other files and addresses, which the sender of a file must not choose.
FORMATS_READ = (
    *("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "mxf", "nut", "rm", "dv", "wtv", "gxf"),
    *("mpegvideo", "h264", "hevc", "m4v", "ivf", "yuv4mpegpipe"),  # picture alone
    *("mp3", "wav", "w64", "flac", "aac", "ac3", "amr", "aiff", "caf", "au"),  # sound alone
    *("image2", "gif", "apng", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "svg_pipe", "psd_pipe"),
)
ONLY_THIS_FILE = {
    "format_whitelist": ",".join(FORMATS_READ),
    "protocol_whitelist": "file",
    "pattern_type": "none",  # a picture whose name holds %d is one file, no sequence
}
# Transport streams name their streams at once, but sizes and rates only where a stream's packets begin.
LONGER_LOOK = {"analyzeduration": "600000000", "probesize": "500000000"}  # microseconds, bytes


class MediaError(ValueError):
    """A file that cannot be used as asked; one sentence that says what was asked, what was found and what to do."""


def url_of(path: str | Path) -> str:
    """What FFmpeg opens: an absolute path behind `file:`, so that no colon in a name is taken for a protocol."""
    return f"file:{Path(path).absolute()}"


@contextmanager
def open_container(path: str | Path) -> Iterator[InputContainer]:
    """Open a file for reading; FFmpeg's errors become sentences.

    Raises:
        MediaError: no such file, a folder, an empty file, not media; and when decoding inside the block fails.
    """
    path = Path(path)
    _check_file(path)
    try:
        with _open(path) as container:
            yield container
    except av.error.InvalidDataError as error:
        raise MediaError(f"{path.name} is not a media file, or it is damaged from the start; export it anew") from error
    except (av.error.DecoderNotFoundError, av.error.PatchWelcomeError) as error:
        raise MediaError(f"{path.name} uses a codec that FFmpeg cannot decode; convert it to H.264 and AAC") from error
    except av.error.PermissionError as error:
        raise MediaError(
            f"{path.name} cannot be read: this user may not, or it is encrypted; give a file that a player plays"
        ) from error
    except av.error.FFmpegError as error:
        raise MediaError(f"{path.name} cannot be read ({error.strerror}); convert it to MP4 and try again") from error


def _open(path: Path) -> InputContainer:
    try:
        container = _open_with(path, {})
        if _is_unknown(container):
            container.close()
            container = _open_with(path, LONGER_LOOK)
    except av.error.ArgumentError as error:  # FFmpeg's word for a format that is not on the list
        raise MediaError(
            f"{path.name} is no video file, whatever its name says: it is a playlist, a text or of an unknown kind; "
            "give the video itself, such as MP4, MOV, MKV or WebM"
        ) from error
    return container


def _open_with(path: Path, options: dict[str, str]) -> InputContainer:
    return av.open(url_of(path), metadata_errors="replace", options=ONLY_THIS_FILE | options)


def _is_unknown(container: InputContainer) -> bool:
    """Whether the first picture's size or the first sound's rate has not been seen yet."""
    pictures = [stream.width for stream in container.streams.video if stream.codec_context]
    sounds = [stream.rate for stream in container.streams.audio if stream.codec_context]
    return bool((pictures and not pictures[0]) or (sounds and not sounds[0]))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise MediaError(f"{path} is a folder; give a video file")
    if not path.exists():
        raise MediaError(f"there is no file {path}; check its name")
    if path.stat().st_size == 0:
        raise MediaError(f"{path.name} is empty (0 bytes); copy or export it again")


def tick(stream: av.VideoStream | av.AudioStream | av.VideoFrame | av.AudioFrame) -> Fraction:
    """Seconds per unit of a stream's or a frame's timestamps; a stream without one counts in microseconds."""
    return stream.time_base or Fraction(1, av.time_base)
