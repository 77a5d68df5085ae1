"""What the ffprobe and ffmpeg programs say about files: another reader than the library's own."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")),
    reason="no ffmpeg and ffprobe (Debian: apt install ffmpeg)",
)


def ffmpeg(*arguments, check=True):
    """Run ffmpeg; returns what it wrote to its standard error, which is nothing when all is well."""
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check:
        assert not done.returncode, done.stderr
    return done.stderr


def has_encoder(name):
    """Whether this ffmpeg has an encoder."""
    said = subprocess.run(["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True, check=True).stdout
    return f" {name} " in said


def probed(path):
    """Format, streams and chapters as ffprobe lists them."""
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-show_chapters", "-of", "json"]
    return json.loads(subprocess.run([*command, f"file:{path}"], capture_output=True, check=True).stdout)


@dataclass(frozen=True)
class ProbedPacket:
    """A packet: its presentation and decoding time in seconds, its size, and a hash of its bytes."""

    pts: Fraction | None
    dts: Fraction | None
    size: int
    digest: str
    hidden: bool


def packets(path, stream):
    """The packets of a stream, such as `v:0`."""
    command = ["ffprobe", "-v", "error", "-select_streams", stream, "-show_packets", "-show_data_hash", "md5"]
    entries = "stream=time_base:packet=pts,dts,size,flags,data_hash"
    listed = subprocess.run(
        [*command, "-show_entries", entries, "-of", "json", f"file:{path}"], capture_output=True, check=True
    ).stdout
    found = json.loads(listed)
    base = Fraction(found["streams"][0]["time_base"])
    return [
        ProbedPacket(
            None if "pts" not in packet else packet["pts"] * base,
            None if "dts" not in packet else packet["dts"] * base,
            int(packet["size"]),
            packet.get("data_hash", ""),
            "D" in packet["flags"],
        )
        for packet in found["packets"]
    ]


def samples(path, track=0):
    """Decoded mono samples of a sound track, float32 (n,), and when the first of them is heard, in seconds."""
    command = ["ffmpeg", "-v", "error", "-i", f"file:{path}", "-map", f"0:a:{track}", "-ac", "1", "-f", "f32le", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    listed = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", f"a:{track}", "-show_entries", "frame=pts_time", "-of", "csv=p=0",
         "-read_intervals", "%+3", f"file:{path}"], capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, np.float32), float(listed.split()[0].rstrip(","))


def picture_times(path, stream="v:0"):
    """When pictures are shown, in seconds, in that order, by decoding."""
    listed = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", "frame=pts_time",
         "-of", "csv=p=0", f"file:{path}"], capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    return [float(line.split(",")[0]) for line in listed.split() if line[0] != "N"]
