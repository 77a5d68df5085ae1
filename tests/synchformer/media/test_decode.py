"""Files whose every frame spells its number and whose click sounds at a known time, read onto one clock."""

import math
import shutil
import struct
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from synchformer.media.clock import Decoding
from synchformer.media.decode import read_media
from synchformer.media.probe import MediaError, probe
from tests.support.media import MediaSpec, click_in, number_in, picture_of, samples_of, write

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="compares with ffmpeg (Debian: apt install ffmpeg)")
FAST = {"deadline": "realtime", "cpu-used": "8"}
WEBM = {"video": "libvpx-vp9", "audio": "libopus", "rate": 48_000, "options": FAST}
PIXELS = [("libx264", f) for f in ("yuv420p10le", "yuv422p", "yuv444p")] + [("mjpeg", "yuvj420p"), ("ffv1", "bgr0")]


def numbers(media):
    return [number_in(frame.numpy()) for frame in media.video]


def click(media):
    return media.start + click_in(media.audio.numpy(), media.sample_rate)


# One clock


@pytest.mark.parametrize(
    ("name", "sample", "tolerance"),
    [
        ("a.mp4", MediaSpec(), 1e-3),  # AAC priming behind an edit list
        ("a.mov", MediaSpec(audio="pcm_s16le"), 1e-4),
        ("a.mov", MediaSpec(), 1e-3),
        ("a.mkv", MediaSpec(audio="flac"), 1e-3),  # Matroska counts in milliseconds
        ("a.webm", MediaSpec(**WEBM), 2e-3),
        ("a.avi", MediaSpec(video="mpeg4", audio="pcm_s16le"), 1e-4),
        ("a.mp4", MediaSpec(options={"bf": "3", "g": "20"}), 1e-3),
    ],
    ids=["mp4", "mov-pcm", "mov-aac", "mkv", "webm", "avi", "b-frames"],
)
def test_frames_and_click_are_where_they_belong(tmp_path, name, sample, tolerance):
    media = read_media(write(tmp_path / name, sample))
    assert numbers(media)[:75] == list(range(75))
    assert click(media) == pytest.approx(1.5, abs=tolerance)
    assert media.notes == ()
    assert (media.video_fps, media.sample_rate) == (25, 16_000)


def test_transport_stream(tmp_path):
    """Its times begin anywhere, and its sound with the encoder's run-up: only the distance of the two counts."""
    media = read_media(write(tmp_path / "a.ts", MediaSpec(rate=48_000)))
    shown = numbers(media)
    assert sorted(set(shown)) == list(range(75))
    assert shown == sorted(shown)
    assert click(media) - shown.index(30) / 25 == pytest.approx(0.3, abs=0.021)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_delayed_sound_is_late(tmp_path, suffix):
    media = read_media(
        write(tmp_path / f"a.{suffix}", MediaSpec(audio="flac" if suffix == "mkv" else "aac", audio_delay=0.4))
    )
    assert click(media) == pytest.approx(1.9, abs=1e-3)
    assert numbers(media)[:70] == list(range(70))
    assert media.audio[: int(0.39 * 16_000)].abs().max() == 0


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_delayed_picture_is_late(tmp_path, suffix):
    media = read_media(write(tmp_path / f"a.{suffix}", MediaSpec(audio="flac", video_delay=0.4)))
    assert click(media) == pytest.approx(1.5, abs=1e-3)
    assert numbers(media)[:14] == [0] * 11 + [1, 2, 3]  # frame 0 comes at 0.4 s, the tenth place; before it, it is held


def test_gap_in_the_sound_is_silence(tmp_path):
    sample = MediaSpec(audio="pcm_s16le", gap=(0.8, 1.2), click=1.5)
    media = read_media(write(tmp_path / "a.mkv", sample))
    assert click(media) == pytest.approx(1.5, abs=1e-3)
    tone = MediaSpec(audio="pcm_s16le", gap=(0.8, 1.2), click=0.9)  # falls into the gap
    assert read_media(write(tmp_path / "b.mkv", tone)).audio.abs().max() < 0.01


# Frame rates: the n-th output frame is the last input frame whose time, rounded to output frames, has come.


def nearest(times, count):
    """By hand: the input frame of each output place, halves rounded up."""
    places = [math.floor(time * 25 + 0.5) for time in times]
    return [max(index for index, place in enumerate(places) if place <= slot) for slot in range(count)]


@pytest.mark.parametrize("fps", ["24000/1001", "30", "60", "12", "50"])
def test_other_frame_rates(tmp_path, fps):
    sample = MediaSpec(fps=Fraction(fps), seconds=2.0, click=0.5, options={"bf": "2"})
    media = read_media(write(tmp_path / "a.mp4", sample))
    times = [index / Fraction(fps) for index in range(round(2 * Fraction(fps)))]
    assert numbers(media)[:49] == nearest(times, 49)
    assert click(media) == pytest.approx(0.5, abs=1e-3)


@needs_ffmpeg
@pytest.mark.parametrize("fps", ["24000/1001", "30", "60"])
def test_frame_rates_as_ffmpeg_converts_them(tmp_path, fps):
    path = write(tmp_path / "a.mp4", MediaSpec(fps=Fraction(fps), seconds=2.0))
    command = [FFMPEG, "-v", "error", "-i", path, "-vf", "fps=25", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    theirs = np.frombuffer(raw, np.uint8).reshape(-1, 48, 64, 3).transpose(0, 3, 1, 2)
    ours = numbers(read_media(path))
    assert [number_in(frame) for frame in theirs][:48] == ours[:48]


def test_variable_frame_rate(tmp_path):
    times = [0, 0.05, 0.1, 0.4, 0.41, 0.42, 1.0, 1.5, 2.0]
    media = read_media(write(tmp_path / "a.mkv", MediaSpec(times=times, audio="flac")))
    shown = numbers(media)
    assert shown[:50] == nearest(times, 50)
    assert shown[10] == 4, "two frames fall on one place: the later one is shown"


# Pictures


@pytest.mark.parametrize(("video", "pix_fmt"), PIXELS)
def test_pixel_formats_show_the_same_color(tmp_path, video, pix_fmt):
    sample = MediaSpec(seconds=1.0, click=0.5, video=video, pix_fmt=pix_fmt, color=(200, 50, 90))
    media = read_media(write(tmp_path / "a.mkv", sample))
    assert media.video[5].float().mean((1, 2)).tolist() == pytest.approx([200, 50, 90], abs=4)


def test_odd_sizes_and_short_side(tmp_path):
    path = write(tmp_path / "a.mkv", MediaSpec(seconds=1.0, click=0.5, video="ffv1", pix_fmt="yuv444p", size=(47, 63)))
    assert read_media(path).video.shape[1:] == (3, 47, 63)
    assert read_media(path, short_side=24).video.shape[1:] == (3, 24, 32)
    assert numbers(read_media(path, short_side=94))[:20] == list(range(20))


# The matrix of a track header, clockwise turns: x' = a x + c y, y' = b x + d y, in 16.16 fixed point.
TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@pytest.mark.parametrize("turn", TURNS)
def test_rotation_is_applied(tmp_path, turn):
    path = write(tmp_path / "a.mp4", MediaSpec(seconds=1.0, click=0.5))
    upright = read_media(path).video[20].numpy().astype(float)

    def matrix(a, b, c, d):
        return struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)

    content = path.read_bytes()
    place = content.index(matrix(1, 0, 0, 1), content.index(b"tkhd"))  # the picture is the first track
    path.write_bytes(content[:place] + matrix(*TURNS[turn]) + content[place + 36 :])
    turned = read_media(path).video[20].numpy().astype(float)
    assert np.array_equal(turned, np.rot90(upright, -turn // 90, axes=(1, 2)))


# Sound


def test_channels_are_averaged(tmp_path):
    sample = MediaSpec(audio="flac", layout="5.1", click_channel=2, video="ffv1")
    media = read_media(write(tmp_path / "a.mkv", sample))
    assert media.audio.max().item() == pytest.approx(0.8 / 6, abs=2e-3)
    assert click(media) == pytest.approx(1.5, abs=1e-3)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_every_sample_in_its_place(tmp_path, rate):
    sample = MediaSpec(audio="pcm_s16le", rate=rate, seconds=2.0, click=1.0)
    media = read_media(write(tmp_path / "a.mov", sample))
    common = math.gcd(rate, 16_000)
    expected = resample_poly(samples_of(sample)[0], 16_000 // common, rate // common)
    found = media.audio.numpy()[: len(expected)]
    lag = np.argmax(np.correlate(found[15_000:17_000], expected[15_500:16_500])) - 500
    assert lag == 0
    assert np.abs(found - expected[: len(found)]).max() < 0.15  # another filter, and a click is all edges
    assert np.corrcoef(found, expected[: len(found)])[0, 1] > 0.99


def test_what_is_right_already_comes_through_unchanged(tmp_path):
    sample = MediaSpec(video="ffv1", pix_fmt="bgr0", audio="flac")
    media = read_media(write(tmp_path / "a.mkv", sample))
    assert all(np.array_equal(media.video[i].permute(1, 2, 0).numpy(), picture_of(i, sample)) for i in (0, 37, 74))
    quantized = np.round(samples_of(sample)[0] * 32768) / 32768
    assert np.abs(media.audio.numpy()[:48_000] - quantized).max() <= 1 / 32768


# Intervals


@pytest.mark.parametrize(
    "sample", [MediaSpec(rate=44_100), MediaSpec(fps=Fraction(30), options={"bf": "2", "g": "12"})]
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_an_interval_is_a_part_of_the_whole(tmp_path, suffix, sample):
    path = write(tmp_path / f"a.{suffix}", sample)
    whole, part = read_media(path), read_media(path, 1.2, 2.2)
    assert part.start == 1.2
    assert torch.equal(part.video, whole.video[30:55])
    assert torch.allclose(part.audio, whole.audio[19_200:35_200], atol=1e-3)


def test_a_late_interval_of_a_long_file_costs_no_more(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", MediaSpec(seconds=120, video="mpeg4", options={"g": "25"}, click=100))
    decoded = []
    decode_all = Decoding._decoded

    def counted(*arguments):
        for frame in decode_all(*arguments):
            decoded.append(frame)
            yield frame

    monkeypatch.setattr(Decoding, "_decoded", counted)
    costs = []
    for start in (0.0, 60.0, 114.0):
        decoded.clear()
        media = read_media(path, start, start + 5)
        costs.append(len(decoded))
        assert len(media.video) == 125
        assert number_in(media.video[10].numpy()) == (round(start * 25) + 10) % 256
    assert max(costs) <= costs[0] + 25 + 2 * 16  # a group of pictures, and the sound's run-up


# What cannot be used is said in one sentence


def test_a_file_cut_off_is_used_as_far_as_it_goes(tmp_path):
    path = write(tmp_path / "a.mkv", MediaSpec(seconds=3.0))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    media = read_media(path)
    assert 0 < len(media.video) <= 75
    assert len(media.audio) > 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"this is no video", "not a media file"),
        ("empty.mp4", b"", "empty"),
    ],
)
def test_no_media(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=message):
        probe(tmp_path / name)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(MediaError, match="no file"):
        probe(tmp_path / "missing.mp4")
    with pytest.raises(MediaError, match="folder"):
        probe(tmp_path)


@pytest.mark.parametrize(
    ("sample", "message"),
    [(MediaSpec(audio=None), "no sound"), (MediaSpec(video=None), "no video stream .*sound alone")],
)
def test_a_missing_stream(tmp_path, sample, message):
    with pytest.raises(MediaError, match=message):
        read_media(write(tmp_path / "a.mp4", sample))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif"])
def test_a_still_picture(tmp_path, suffix):
    from PIL import Image

    Image.new("RGB", (64, 48), "red").save(tmp_path / f"a.{suffix}")
    with pytest.raises(MediaError, match="still picture"):
        probe(tmp_path / f"a.{suffix}")


@needs_ffmpeg
def test_music_with_a_cover(tmp_path):
    from PIL import Image

    cover, sound, song = tmp_path / "c.png", write(tmp_path / "a.mp4", MediaSpec(video=None)), tmp_path / "song.mp3"
    Image.new("RGB", (64, 64), "red").save(cover)
    maps = ["-map", "0:a", "-map", "1:v", "-c:v", "mjpeg", "-disposition:v", "attached_pic", "-c:a", "libmp3lame"]
    subprocess.run([FFMPEG, "-v", "error", "-i", sound, "-i", cover, *maps, song], check=True)
    with pytest.raises(MediaError, match="cover picture"):
        probe(song)


@pytest.mark.parametrize(("start", "stop"), [(math.nan, 1.0), (0.0, math.inf), (-1.0, 1.0), (2.0, 1.0), (9.0, 12.0)])
def test_an_impossible_interval(tmp_path, start, stop):
    path = write(tmp_path / "a.mp4", MediaSpec())
    with pytest.raises(MediaError, match=r"seconds|not in it"):
        read_media(path, start, stop)


def test_probe_tells_what_there_is(tmp_path):
    info = probe(write(tmp_path / "a.mp4", MediaSpec(rate=44_100, layout="stereo", audio_delay=0.4)))
    assert (info.width, info.height, info.sample_rate, info.channels) == (64, 48, 44_100, 2)
    assert info.fps == 25
    assert info.video.stop == pytest.approx(3.0, abs=0.05)
    assert info.audio.start == pytest.approx(0.4, abs=0.03)
    assert info.seconds == pytest.approx(3.4, abs=0.05)
    assert (info.video.codec, info.audio.codec) == ("h264", "aac")


def test_unreadable_metadata_does_not_matter(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "caf\u00e9"
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace("caf\u00e9".encode(), b"caf\xff\xff"))
    with pytest.raises(MediaError, match="no sound"):
        probe(path)
