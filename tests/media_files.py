"""Media files with a known truth: flashes and clicks at stated times, and a number in every picture.

Every picture shows its own number in binary (eight columns of its lower half, the lowest bit on the left) and is white
in its upper half when it flashes, so a decoded frame says which one it is. Times are those of the streams before
`audio_delay` and `video_delay` move them. Files are small, so that each takes milliseconds.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
SIZE = (64, 48)  # width, height
CLICK_SECONDS = 0.01
BRIGHT = 128
CODECS = {
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".mkv": ("libx264", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".avi": ("mpeg4", "libmp3lame"),
    ".ts": ("mpeg2video", "mp2"),
}
ENCODER_OPTIONS = {"libx264": {"preset": "ultrafast", "bf": "0"}, "libvpx": {"deadline": "realtime", "cpu-used": "8"}}


def numbered(index: int, flash: bool = False, size: tuple[int, int] = SIZE) -> Picture:
    """RGB picture (H, W, 3) that shows `index` modulo 256 below, and white above when it flashes."""
    width, height = size
    picture = np.full((height, width, 3), 16, np.uint8)
    picture[: height // 2] = 235 if flash else 16
    for bit in range(8):
        columns = slice(bit * width // 8, (bit + 1) * width // 8)
        picture[height // 2 :, columns] = 235 if index >> bit & 1 else 16
    return picture


def numbers(video) -> list[int]:
    """The numbers of decoded frames (T, 3, H, W)."""
    pictures = np.asarray(video)
    height, width = pictures.shape[-2:]
    low, centres = height * 3 // 4, [(2 * bit + 1) * width // 16 for bit in range(8)]
    bits = pictures[:, 1, low][:, centres] > BRIGHT
    return [int(value) for value in bits @ (1 << np.arange(8))]


def flashes(video) -> list[int]:
    """Places of the decoded frames (T, 3, H, W) whose upper half is white."""
    pictures = np.asarray(video)
    return [int(place) for place in np.flatnonzero(pictures[:, 1, : pictures.shape[2] // 2 - 2].mean((1, 2)) > BRIGHT)]


def clicks(audio, rate: int) -> list[float]:
    """Seconds at which the sound rises above half of its loudest value, after 50 ms without."""
    loud = np.flatnonzero(np.abs(np.asarray(audio)) > np.abs(np.asarray(audio)).max() / 2)
    first = np.diff(loud, prepend=-rate) > rate // 20
    return [float(place) / rate for place in loud[first]]


def click_track(seconds: float, rate: int, times: Iterable[float]) -> NDArray[np.float32]:
    """Mono samples with a burst of 10 ms at each of `times`."""
    samples = np.zeros(round(seconds * rate), np.float32)
    for time in times:
        first, length = round(time * rate), round(CLICK_SECONDS * rate)
        samples[first : first + length] = 0.7
    return samples


def write_media(
    path: Path,
    *,
    seconds: float = 2.0,
    fps: Fraction | int = 25,
    times: Sequence[float] | None = None,
    size: tuple[int, int] = SIZE,
    flash: Iterable[float] = (1.0,),
    picture: Callable[[int], Picture] | None = None,
    video: str | None = None,
    pixels: str = "yuv420p",
    video_options: dict[str, str] | None = None,
    video_delay: float = 0.0,
    sample_rate: int = 16_000,
    layout: str = "mono",
    click: Iterable[float] = (1.0,),
    sound: NDArray[np.float32] | None = None,
    audio: str | None = None,
    audio_delay: float = 0.0,
    gap: tuple[float, float] = (0.0, 0.0),
    muxer: dict[str, str] | None = None,
) -> Path:
    """Write a file and return its path.

    Args:
        path: its suffix names the container and, unless `video` and `audio` are given, the codecs; "" for none.
        times: seconds at which pictures are shown, for a variable frame rate; else every 1/`fps`.
        flash: seconds; the picture shown then flashes.
        picture: RGB picture of each number, instead of `numbered`.
        sound: samples (channels, n), instead of clicks that are alike in all channels.
        gap: at this second the sound pauses for so many seconds: timestamps jump, nothing is encoded.
        muxer: options of the container.
    """
    default_video, default_audio = CODECS.get(path.suffix, ("", ""))
    video, audio = default_video if video is None else video, default_audio if audio is None else audio
    sample_rate = 48_000 if audio == "libopus" else sample_rate
    lit = [round(time * fps) for time in flash] if times is None else [list(times).index(time) for time in flash]
    draw = picture or (lambda index: numbered(index, index in lit, size))
    with av.open(str(path), "w", options=muxer or {}) as out:
        packets = []
        if video:
            seen = out.add_stream(
                video, rate=fps, options=ENCODER_OPTIONS.get(video, {}) | {"g": "12"} | (video_options or {})
            )
            seen.width, seen.height, seen.pix_fmt = *size, pixels
        if audio:
            heard = out.add_stream(audio, rate=sample_rate, layout=layout)
        if video:
            packets += _picture_packets(seen, draw, round(seconds * fps), times, video_delay)
        if audio:
            channels = len(heard.layout.channels)
            track = np.tile(click_track(seconds, sample_rate, click), (channels, 1)) if sound is None else sound
            packets += _sound_packets(heard, track, audio_delay, gap)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)
    return path


def _picture_packets(stream, draw, count, times, delay):
    base = Fraction(1, 90_000) if times is not None else 1 / Fraction(stream.codec_context.framerate)
    stream.codec_context.time_base = base
    packets = []
    for index in range(count if times is None else len(times)):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(draw(index)), format="rgb24")
        frame = frame.reformat(format=stream.pix_fmt, dst_color_range="JPEG" if "yuvj" in stream.pix_fmt else None)
        frame.time_base, frame.pts = base, index if times is None else round(times[index] / base)
        packets += stream.encode(frame)
    return _moved(packets + stream.encode(None), lambda _: delay)


def _sound_packets(stream, track, delay, gap):
    packets, at, length = [], *gap
    for begin in range(0, track.shape[1], 1024):
        part = np.ascontiguousarray(track[:, begin : begin + 1024])
        frame = AudioFrame.from_ndarray(part, format="fltp", layout=stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = stream.rate, begin, Fraction(1, stream.rate)
        packets += stream.encode(frame)
    return _moved(packets + stream.encode(None), lambda time: delay + (length if time >= at else 0.0))


def _moved(packets, later):
    """Packets with their timestamps moved by `later(time)` seconds, to the nearest tick."""
    for packet in packets:
        shift = round(later(float(packet.pts * packet.time_base)) / packet.time_base)
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
    return packets


def write_loop(source: Path, path: Path, times: int, seconds: float) -> Path:
    """The packets of `source`, which lasts `seconds`, so many times one after the other: a long file made quickly."""
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux() if packet.dts is not None]
        with av.open(str(path), "w") as out:
            copies = {stream.index: out.add_stream_from_template(stream) for stream in container.streams}
            marks = [(packet, packet.stream.index, packet.pts, packet.dts, packet.time_base) for packet in packets]
            for turn in range(times):
                for packet, index, pts, dts, base in marks:
                    shift = round(turn * seconds / base)
                    packet.stream, packet.time_base = copies[index], base
                    packet.pts, packet.dts = pts + shift, dts + shift
                    out.mux(packet)
    return path


def rotate_mp4(path: Path, degrees: int) -> Path:
    """Write a display matrix into the first track header of an MP4: players turn the picture clockwise by `degrees`."""
    data = bytearray(path.read_bytes())
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = [cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30]
    begin = data.index(b"tkhd") + 44  # after type, version, flags, times, track, length, layer, volume
    data[begin : begin + 36] = np.array(matrix, ">i4").tobytes()
    path.write_bytes(data)
    return path
