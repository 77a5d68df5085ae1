"""The same crops through several decoders: how far do results depend on what reads the file?

python -m benchmarks.decoders                                       # this PyAV, the ffmpeg program, torchcodec if there
pip install --no-deps --target runs/pyav16 av==16.1.0
python -m benchmarks.decoders --site runs/pyav16 --site runs/pyav17    # and other releases, each from its folder

Every file is made anew: numbered pictures and noise, encoded by this PyAV. A row compares a decoder with this project's
reading under this PyAV, for seconds 1 to 4 of the file, at the file's own size and rates.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from synchformer.media.decode import read_media
from synchformer.media.probe import probe

BEGIN, END = 1.0, 4.0  # s of every file that are compared
FPS = 25
SIDE = (96, 128)  # pixels: height and width
WIDE = 30  # pictures by which the picture is moved either way in search of a shift
TICKS = 8  # bars of the number in a picture

Arrays = tuple[NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True)
class Recipe:
    """How a file is encoded: its suffix, codecs, the sound's rate, and options of the picture's encoder."""

    suffix: str
    video: str
    audio: str
    rate: int
    options: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Container and codecs in words."""
        return f"{self.suffix} {self.video.removeprefix('lib')} {self.audio.removeprefix('lib')} {self.rate}"


RECIPES = (
    Recipe("mp4", "libx264", "aac", 16_000, (("bf", "2"), ("g", "24"))),
    Recipe("mp4", "libx264", "aac", 48_000, (("bf", "2"), ("g", "24"))),
    Recipe("mov", "mjpeg", "pcm_s16le", 16_000),
    Recipe("mkv", "libx264", "flac", 16_000, (("g", "24"),)),
    Recipe("mkv", "mpeg4", "libmp3lame", 44_100),
    Recipe("webm", "libvpx", "libopus", 48_000, (("deadline", "realtime"),)),
    Recipe("ts", "libx264", "aac", 48_000, (("bf", "2"), ("g", "24"))),
    Recipe("avi", "mpeg4", "pcm_s16le", 16_000),
)


def write(path: Path, recipe: Recipe, seconds: float = 5.0) -> Path:
    """Encode numbered pictures with some texture, and noise in bursts."""
    noise = np.random.default_rng(0)
    texture = noise.integers(0, 60, (*SIDE, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        picture = container.add_stream(recipe.video, rate=Fraction(FPS), options=dict(recipe.options))
        sound = container.add_stream(recipe.audio, rate=recipe.rate, layout="mono")
        assert isinstance(picture, av.VideoStream)
        assert isinstance(sound, av.AudioStream)
        picture.height, picture.width = SIDE
        picture.pix_fmt = "yuvj420p" if recipe.video == "mjpeg" else "yuv420p"
        for index in range(round(seconds * FPS)):
            bars = np.repeat([(index >> bit & 1) * 160 for bit in range(TICKS)], SIDE[1] // TICKS).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(texture + bars[None, :, None], format="rgb24")
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        wave = noise.standard_normal(round(seconds * recipe.rate)).astype(np.float32) * 0.1
        wave *= (np.arange(len(wave)) % (recipe.rate // 2)) < recipe.rate // 8
        resampler = av.AudioResampler(format=sound.format.name, layout="mono", rate=recipe.rate)
        for first in range(0, len(wave), 1024):
            part = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = recipe.rate, first, Fraction(1, recipe.rate)
            for each in resampler.resample(part):
                container.mux(sound.encode(each))
        container.mux(sound.encode(None))
    return path


def by_this_project(path: Path, rate: int) -> Arrays:
    """Pictures (T, H, W, 3) and samples (n,) as this project reads them, under whichever PyAV is installed."""
    media = read_media(path, BEGIN, END, video_fps=FPS, sample_rate=rate)
    return media.video.permute(0, 2, 3, 1).numpy(), media.audio.numpy()


def by_ffmpeg(path: Path, rate: int) -> Arrays:
    """As the ffmpeg program decodes the whole file, its streams put on the file's clock."""
    zero = float(probe(path).clock.zero)
    command = ["ffmpeg", "-v", "error", "-copyts", "-i", str(path)]
    even = f"fps={FPS}:start_time={zero}"
    picture = subprocess.run([*command, "-vf", even, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"], stdout=-1, check=True)
    padded = f"aresample=async=1:first_pts={round(zero * rate)}"
    sound = subprocess.run(
        [*command, "-vn", "-af", padded, "-ar", str(rate), "-f", "f32le", "-"], stdout=-1, check=True
    )
    frames = np.frombuffer(picture.stdout, np.uint8).reshape(-1, *SIDE, 3)
    return _part(frames, np.frombuffer(sound.stdout, np.float32), rate, 0.0)


def by_torchcodec(path: Path, rate: int) -> Arrays:
    """As torchcodec decodes the interval, every picture the one that is shown at the middle of its time."""
    torchcodec = import_module("torchcodec.decoders")  # no dependency: compared with where it is installed
    video, audio = torchcodec.VideoDecoder(str(path), dimension_order="NHWC"), torchcodec.AudioDecoder(str(path))
    zero = float(probe(path).clock.zero)
    middles = [zero + BEGIN + (index + 0.5) / FPS for index in range(round((END - BEGIN) * FPS))]
    samples = audio.get_samples_played_in_range(zero + BEGIN, zero + END)
    return video.get_frames_played_at(middles).data.numpy(), samples.data.mean(0).numpy()


def _part(frames: NDArray[np.uint8], samples: NDArray[np.float32], rate: int, start: float) -> Arrays:
    first, last = round((BEGIN - start) * FPS), round((END - start) * FPS)
    return frames[first:last], samples[round((BEGIN - start) * rate) : round((END - start) * rate)]


@dataclass(frozen=True)
class Difference:
    """How two decodings differ.

    `same` is the share of pictures that are equal bit by bit, `levels` the largest difference of a pixel (of 255), and
    `moved` the number of pictures by which the other lies later; `samples` is the largest difference of a sample,
    relative to the loudest, after the sound was moved by `shift` samples.
    """

    same: float
    levels: int
    moved: int
    samples: float
    shift: int

    @property
    def cells(self) -> str:
        """Its part of a row."""
        return f"{self.same:7.0%} {self.levels:7d} {self.moved:6d} {self.samples:9.1e} {self.shift:6d}"


def compare(ours: Arrays, others: Arrays) -> Difference:
    """Compare two decodings of one interval, in the position in which each stream fits best."""
    pictures = {moved: _moved(ours[0], others[0], moved) for moved in range(-WIDE, WIDE + 1)}
    errors = {moved: float(np.abs(a.astype(int) - b).mean()) for moved, (a, b) in pictures.items()}
    moved = min(errors, key=lambda each: (errors[each], abs(each)))
    mine, other = pictures[moved]
    levels = np.abs(mine.astype(int) - other)
    shift = _lag(ours[1], others[1])
    a, b = _moved(ours[1], others[1], shift)
    return Difference(
        same=float((levels.max(axis=(1, 2, 3)) == 0).mean()),
        levels=int(levels.max()),
        moved=moved,
        samples=float(np.abs(a - b).max() / np.abs(a).max()),
        shift=shift,
    )


def _lag(ours: NDArray[np.float32], others: NDArray[np.float32]) -> int:
    """By how many samples the other sound lies later, from the peak of their correlation."""
    size = len(ours) + len(others)
    spectrum = np.conj(np.fft.rfft(ours.astype(float), size)) * np.fft.rfft(others.astype(float), size)
    peak = int(np.fft.irfft(spectrum, size).argmax())
    return peak if peak <= size // 2 else peak - size


def _moved(ours: NDArray[np.generic], others: NDArray[np.generic], moved: int) -> tuple[NDArray, NDArray]:  # type: ignore[type-arg]
    count = min(len(ours), len(others)) - abs(moved)
    return ours[max(0, -moved) :][:count], others[max(0, moved) :][:count]


def in_other_process(site: Path) -> Callable[[Path, int], Arrays]:
    """This project's reading under the PyAV of a folder (`pip install --target`), in a process of its own."""

    def read(path: Path, rate: int) -> Arrays:
        out = path.with_suffix(f".{site.name}.npz")
        code = (
            f"import sys; sys.path.insert(0, {str(site)!r}); import numpy as np; from pathlib import Path; "
            "from benchmarks.decoders import by_this_project; "
            f"video, audio = by_this_project(Path({str(path)!r}), {rate}); np.savez({str(out)!r}, video, audio)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        with np.load(out) as arrays:
            return arrays["arr_0"], arrays["arr_1"]

    return read


def decoders(sites: list[Path]) -> Iterator[tuple[str, Callable[[Path, int], Arrays]]]:
    """Names and readers of what is there to compare with."""
    for site in sites:
        code = f"import sys; sys.path.insert(0, {str(site)!r}); import av; print(av.__version__)"
        found = subprocess.run([sys.executable, "-c", code], stdout=-1, text=True, check=True).stdout.strip()
        yield f"PyAV {found}", in_other_process(site)
    if shutil.which("ffmpeg"):
        line = subprocess.run(["ffmpeg", "-version"], stdout=-1, text=True, check=True).stdout.split()
        yield f"ffmpeg {line[2].split('-')[0]}", by_ffmpeg
    if find_spec("torchcodec"):
        yield "torchcodec", by_torchcodec


def main(argv: list[str] | None = None) -> int:
    """Print the matrix."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoders", description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, action="append", default=[], help="folder that holds another PyAV")
    options = parser.parse_args(argv)
    others = list(decoders([site.absolute() for site in options.site]))
    print(f"compared with this project under PyAV {av.__version__}, seconds {BEGIN:g} to {END:g}\n")
    print(f"{'file':32s} {'decoder':16s} {'same':>7s} {'levels':>7s} {'moved':>6s} {'samples':>9s} {'shift':>6s}")
    with tempfile.TemporaryDirectory() as folder:
        for index, recipe in enumerate(RECIPES):
            path = write(Path(folder) / f"{index}.{recipe.suffix}", recipe)
            ours = by_this_project(path, recipe.rate)
            for name, read in others:
                print(f"{recipe.name:32s} {name:16s} {compare(ours, read(path, recipe.rate)).cells}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
