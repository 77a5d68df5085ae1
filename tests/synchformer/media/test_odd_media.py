"""What cameras, phones, browsers, recorders and stations write is read as a good player plays it.

Frames spell their number and the click's time is known, so that "in sync" is: the click sounds while the frame is shown
that was shown when it was recorded.
"""

import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from synchformer.media.clock import Decoding
from synchformer.media.container import MediaError
from synchformer.media.crop import load_clip
from synchformer.media.decode import read_media
from synchformer.media.probe import probe
from tests.support.ffprobe import ffmpeg, needs_ffmpeg
from tests.support.media import MediaSpec, click_in, number_in, write
from tests.support.models import TINY
from tests.support.odd_media import (
    copied,
    joined,
    piped,
    scrambled,
    with_edits,
)

B_FRAMES = {"bf": "2", "g": "12"}
LONG = MediaSpec(seconds=6, options=B_FRAMES)
AROUND = 256 / 25  # s after which the frames' numbers begin anew
SHORT = MediaSpec(seconds=4, click=2.5, options=B_FRAMES)


def clicks(media):
    """Seconds on the clock at which clicks begin, at least 0.2 s apart."""
    loud = np.flatnonzero(media.audio.abs().numpy() > 0.2) / media.sample_rate
    return [media.start + time for index, time in enumerate(loud) if index == 0 or time - loud[index - 1] > 0.2]


def shown_at(media, seconds):
    """The number of the frame that is shown, to a fraction of its time on screen."""
    place = (seconds - media.start) * 25
    number = number_in(media.video[int(place)].numpy())
    begun = int(place)
    while begun and number_in(media.video[begun - 1].numpy()) == number:
        begun -= 1
    return number + min(1.0, place - begun)


def assert_in_sync(media, *recorded, tolerance=0.03):
    """Each click sounds when the frame of its recording's time is shown."""
    heard = clicks(media)
    assert len(heard) == len(recorded)
    for time, truth in zip(heard, recorded, strict=True):
        assert shown_at(media, time) / 25 == pytest.approx(truth % AROUND, abs=tolerance + 1 / 25)


@pytest.fixture(scope="module")
def long_ts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("odd") / "long.ts", LONG)


@pytest.fixture(scope="module")
def short_ts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("odd") / "short.ts", SHORT)


@pytest.fixture(scope="module")
def long_mp4(tmp_path_factory):
    return write(tmp_path_factory.mktemp("odd") / "long.mp4", LONG)


# Times that begin anew


def test_recordings_that_were_joined_follow_each_other(tmp_path, long_ts, short_ts):
    media = read_media(joined(tmp_path / "a.ts", long_ts, short_ts, long_ts))
    assert media.info.seconds == pytest.approx(16.2, abs=0.1)
    assert_in_sync(media, 1.5, 2.5, 1.5)
    assert media.gaps == ()
    assert media.notes == ()


def test_a_part_of_a_joined_file_is_a_part_of_the_whole(tmp_path, long_ts, short_ts):
    path = joined(tmp_path / "a.ts", long_ts, short_ts, long_ts)
    whole = read_media(path)
    for begin in (1.0, 5.4, 7.0, 10.0, 11.0):
        part = read_media(path, begin, begin + 2)
        first = round(begin * 25)
        assert [number_in(frame.numpy()) for frame in part.video] == [
            number_in(frame.numpy()) for frame in whole.video[first : first + 50]
        ]
        assert (part.audio - whole.audio[first * 640 : first * 640 + 32_000]).abs().max() < 2e-3


@needs_ffmpeg
@pytest.mark.parametrize("later", ["3600", "60", "30"])
def test_a_leap_ahead_of_both_streams_is_closed(tmp_path, long_mp4, long_ts, later):
    leap = copied(long_mp4, tmp_path / "later.ts", "-output_ts_offset", later)
    media = read_media(joined(tmp_path / "a.ts", long_ts, leap))
    assert media.info.seconds == pytest.approx(12.2, abs=0.1)
    assert_in_sync(media, 1.5, 1.5)


@needs_ffmpeg
def test_program_streams_that_were_joined(tmp_path, long_mp4):
    encoded = ("-c:v", "mpeg2video", "-c:a", "mp2", "-ar", "48000", "-f", "vob")
    for name, later in (("a", "0"), ("b", "50")):
        ffmpeg("-i", long_mp4, *encoded, "-output_ts_offset", later, tmp_path / f"{name}.vob")
    parts = [tmp_path / f"{name}.vob" for name in "aba"]
    media = read_media(joined(tmp_path / "joined.vob", *parts))
    assert media.info.seconds == pytest.approx(18.1, abs=0.1)
    assert_in_sync(media, 1.5, 1.5, 1.5)
    assert media.gaps == ()


@needs_ffmpeg
@pytest.mark.parametrize("before", [1.0, 3.0, 5.0])
def test_the_counter_of_a_transport_stream_wraps(tmp_path, long_mp4, before):
    wrap = 2**33 / 90_000
    media = read_media(copied(long_mp4, tmp_path / "a.ts", "-output_ts_offset", f"{wrap - before:.3f}"))
    assert media.info.seconds == pytest.approx(6.08, abs=0.05)
    assert number_in(media.video[5].numpy()) <= 5
    assert number_in(media.video[-1].numpy()) == 149
    assert_in_sync(media, 1.5)


# Streams that begin late, pause, and end early


@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4"])
def test_sound_that_begins_late(tmp_path, suffix):
    spec = MediaSpec(seconds=14, audio_delay=0.0)
    late = MediaSpec(seconds=3, audio_delay=11.0)
    path = tmp_path / f"late.{suffix}"
    with av.open(str(path), "w") as out:
        from tests.support.media import _add_audio, _add_video, _audio_packets, _video_packets

        picture, sound = _add_video(out, spec), _add_audio(out, late)
        packets = [*_video_packets(picture, spec), *_audio_packets(sound, late)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)
    media = read_media(path)
    assert media.sample_rate == 16_000
    (gap,) = [gap for gap in media.gaps if gap.stream == "sound"]
    assert (gap.start, gap.stop) == (0.0, pytest.approx(11.0, abs=0.1))
    assert_in_sync(media, 12.5)
    assert media.info.audio.start == pytest.approx(11.0, abs=0.1)
    with pytest.raises(MediaError, match=r"no sound .* begins at 1\d\.\d\d s"):
        load_clip(path, 0.0, config=TINY)


def test_sound_that_pauses(tmp_path, monkeypatch):
    spec = MediaSpec(seconds=60, audio="pcm_s16le", gap=(10, 50), click=52.0, options={"g": "25"})
    path = write(tmp_path / "a.mkv", spec)
    (gap,) = read_media(path, 8.0, 14.0).gaps
    assert (gap.stream, gap.start, gap.stop) == ("sound", pytest.approx(10, abs=0.1), 14.0)
    decoded = []
    every = Decoding._decoded
    monkeypatch.setattr(Decoding, "_decoded", lambda self: (decoded.append(frame) or frame for frame in every(self)))
    media = read_media(path, 40.0, 45.0)
    assert media.audio.abs().max() == 0
    assert [(gap.start, gap.stop) for gap in media.gaps] == [(40.0, 45.0)]
    assert len(decoded) < 400, "a pause does not send the reader back to the start"
    assert_in_sync(read_media(path, 48.0, 58.0), 52.0)
    with pytest.raises(MediaError, match=r"no sound from 30\.00 s .*pauses"):
        load_clip(path, 30.0, config=TINY)


def test_a_crop_says_what_is_missing_in_it(tmp_path):
    path = write(tmp_path / "a.mkv", MediaSpec(seconds=12, size=(112, 112), audio="pcm_s16le", gap=(2, 4)))
    notes = load_clip(path, 0.0, config=TINY).notes
    assert len(notes) == 1
    assert notes[0].startswith("a.mkv has no sound from 2.0")
    assert load_clip(path, 5.0, config=TINY).notes == ()


# Length


@needs_ffmpeg
@pytest.mark.parametrize("container", ["matroska", "webm", "flv", "mpegts"])
def test_a_file_that_does_not_say_how_long_it_is(tmp_path, long_mp4, container):
    source = long_mp4
    if container == "webm":
        source = write(tmp_path / "a.webm", MediaSpec(
            seconds=6, video="libvpx", audio="libopus", rate=48_000, options={"deadline": "realtime"}
        ))  # fmt: skip
    path = piped(source, tmp_path / f"piped.{container}", container)
    info = probe(path)
    assert info.seconds == pytest.approx(6.08, abs=0.08)
    assert info.notes == ()
    assert_in_sync(read_media(path), 1.5)


@pytest.mark.parametrize("said", [100_000.0, 1_000.0])
def test_a_header_that_lies_about_the_length(tmp_path, said):
    path = write(tmp_path / "a.mkv", LONG)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"\x44\x89\x88") + 3  # Duration, eight bytes
    raw[place : place + 8] = struct.pack(">d", said)
    path.write_bytes(raw)
    media = read_media(path)
    assert media.info.seconds == pytest.approx(6.02, abs=0.08)
    assert media.notes == ()


@pytest.mark.parametrize(
    ("suffix", "spec"),
    [
        ("mkv", LONG),
        ("avi", MediaSpec(seconds=6, video="mpeg4", audio="pcm_s16le")),
        ("mov", MediaSpec(seconds=6, video="mjpeg", audio="pcm_s16le", pix_fmt="yuvj420p")),
    ],
)
def test_a_file_that_is_cut_off_says_so(tmp_path, suffix, spec):
    path = write(tmp_path / f"a.{suffix}", spec)
    if suffix == "mov":
        path = faststart(path, tmp_path / "fast.mov")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    media = read_media(path)
    assert 0 < media.info.seconds < 5
    assert any("cut off" in note for note in media.notes)


def faststart(path, out):
    """The same file with its index before its content."""
    with av.open(str(path)) as source, av.open(str(out), "w", options={"movflags": "+faststart"}) as target:
        copies = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                target.mux(packet)
    return out


@needs_ffmpeg
def test_media_segments_from_the_middle_miss_nothing(tmp_path, long_mp4):
    flags = ("-movflags", "frag_keyframe+empty_moov+default_base_moof", "-output_ts_offset", "4")
    media = read_media(copied(long_mp4, tmp_path / "a.mp4", *flags))
    assert media.notes == ()
    assert_in_sync(media, 1.5)


# Edits


@needs_ffmpeg
@pytest.mark.parametrize(
    ("edits", "seconds", "recorded"),
    [
        ([(2.0, 1.0), (2.0, 4.0)], 4.0, (1.5,)),
        ([(0.5, None), (5.0, 0.0)], 5.0, (1.5,)),
        ([(1.0, 0.0), (1.0, None), (3.0, 1.0)], 5.0, (1.5,)),
        ([(3.0, 0.0), (3.0, 0.0)], 6.0, (1.5, 1.5)),
    ],
    ids=["two-parts", "empty-first", "empty-between", "repeated"],
)
def test_edits_are_played(tmp_path, long_mp4, edits, seconds, recorded):
    media = read_media(with_edits(long_mp4, tmp_path / "a.mp4", edits))
    assert media.info.seconds == pytest.approx(seconds, abs=0.1)
    assert media.notes == ()
    assert_in_sync(media, *recorded)


# Changes on the way


@pytest.mark.parametrize(
    "other", [{"rate": 44_100}, {"rate": 44_100, "layout": "stereo"}, {"layout": "stereo"}, {"rate": 16_000}]
)
def test_the_rate_and_the_channels_of_the_sound_change_on_the_way(tmp_path, other):
    tone = {"seconds": 6, "options": B_FRAMES}
    first = write(tmp_path / "a.ts", MediaSpec(**({"rate": 48_000} | tone)))
    second = write(tmp_path / "b.ts", MediaSpec(**({"rate": 48_000} | tone | other)))
    media = read_media(joined(tmp_path / "c.ts", first, second))
    assert_in_sync(media, 1.5, 1.5)
    one, two = (round(time * 16_000) for time in clicks(media))
    before, after = (media.audio[place - 20 : place + 100].numpy() for place in (one, two))
    match = np.correlate(after, before[8:-8], "valid").max()
    assert match / np.sqrt((before**2).sum() * (after**2).sum()) > 0.9


def test_the_size_of_the_picture_changes_on_the_way(tmp_path, long_ts):
    other = write(tmp_path / "b.ts", MediaSpec(seconds=4, click=2.5, size=(96, 160), options=B_FRAMES))
    media = read_media(joined(tmp_path / "c.ts", long_ts, other))
    assert tuple(media.video.shape[1:]) == (3, 48, 64)
    assert_in_sync(media, 1.5, 2.5)


@needs_ffmpeg
@pytest.mark.parametrize("depth", ["1", "3"])
def test_pictures_of_avi_come_in_the_order_in_which_they_are_shown(tmp_path, depth):
    source = write(tmp_path / "a.mp4", MediaSpec(seconds=6, audio="mp3", options={"bf": depth, "g": "24"}))
    path = copied(source, tmp_path / "a.avi")
    media = read_media(path)
    numbers = [number_in(frame.numpy()) for frame in media.video]
    delay = numbers.index(1) - 1
    assert numbers[delay:150] == list(range(150 - delay)), "one after the other, at one delay"
    part = read_media(path, 3.0, 5.0)
    assert [number_in(frame.numpy()) for frame in part.video] == numbers[75:125]


# Tracks


def two_sounds(path, defaults, first_click, second_click):
    """A picture with two sound tracks that differ in their click."""
    from tests.support.media import _add_audio, _add_video, _audio_packets, _video_packets

    specs = [MediaSpec(seconds=4, click=first_click), MediaSpec(seconds=4, click=second_click)]
    with av.open(str(path), "w") as out:
        picture = _add_video(out, specs[0])
        sounds = [_add_audio(out, spec) for spec in specs]
        for sound, is_default in zip(sounds, defaults, strict=True):
            sound.disposition = av.stream.Disposition.default if is_default else av.stream.Disposition(0)
        packets = list(_video_packets(picture, specs[0]))
        for sound, spec in zip(sounds, specs, strict=True):
            packets += _audio_packets(sound, spec)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)
    return path


@pytest.mark.parametrize(("defaults", "measured"), [((False, True), 2), ((True, False), 1), ((False, False), 1)])
def test_the_default_track_is_measured_and_named(tmp_path, defaults, measured):
    media = read_media(two_sounds(tmp_path / "a.mkv", defaults, 1.5, 2.5))
    assert click_in(media.audio.numpy(), 16_000) == pytest.approx((1.5, 2.5)[measured - 1], abs=0.01)
    assert media.info.audio_track.position == measured
    assert media.notes == (f"Measured: sound track {measured} of 2 (aac).",)


@pytest.mark.parametrize("broken", [0, 1])
def test_a_track_that_cannot_be_decoded_stops_nothing(tmp_path, broken):
    path = two_sounds(tmp_path / "a.mov", (True, True), 1.5, 2.5)
    raw = path.read_bytes()
    for known, unknown in ((b"mp4a", b"apac"), (b"esds", b"dapa")):
        places = [index for index in range(len(raw)) if raw.startswith(known, index)]
        place = places[broken * len(places) // 2]  # the same box names stand in both tracks equally often
        raw = raw[:place] + unknown + raw[place + 4 :]
    path.write_bytes(raw)
    media = read_media(path)
    assert click_in(media.audio.numpy(), 16_000) == pytest.approx((2.5, 1.5)[broken], abs=0.01)
    assert media.notes == (f"Measured: sound track {2 - broken} of 2 (aac); track {broken + 1} cannot be decoded.",)


def test_no_track_that_can_be_decoded_is_one_sentence(tmp_path):
    path = write(tmp_path / "a.mov", MediaSpec())
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"apac").replace(b"esds", b"dapa"))
    with pytest.raises(MediaError, match=r"no sound track of it can be decoded in a\.mov"):
        read_media(path)


# What cannot be measured, and samples that are none


@needs_ffmpeg
def test_encrypted_files_are_named_so(tmp_path, long_mp4, long_ts):
    keys = ("-encryption_key", "7" * 32, "-encryption_kid", "a" * 32)
    cenc = copied(long_mp4, tmp_path / "cenc.mp4", "-encryption_scheme", "cenc-aes-ctr", *keys)
    for path in (cenc, scrambled(long_ts, tmp_path / "scrambled.ts")):
        with pytest.raises(MediaError, match=r"is encrypted, so nothing in it can be measured"):
            probe(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e29])
@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_a_sample_that_is_no_number_is_silence(tmp_path, monkeypatch, value, suffix):
    monkeypatch.setattr("tests.support.media.samples_of", lambda sample: np.full((1, 48_000), 0.123, np.float32))
    path = write(tmp_path / f"a.{suffix}", MediaSpec(audio="pcm_f32le"))
    raw = bytearray(path.read_bytes())
    place = raw.index(struct.pack("<f", 0.123) * 9)
    raw[place : place + 4] = struct.pack("<f", value)
    path.write_bytes(raw)
    media = read_media(path)
    assert media.audio.isfinite().all()
    assert media.audio.abs().max() < 1
    assert any("not a number" in note for note in media.notes)


def test_channels_that_cancel_each_other(tmp_path, monkeypatch):
    spec = MediaSpec(layout="stereo", audio="pcm_s16le")
    wave = np.random.default_rng(0).standard_normal((1, 48_000)).astype(np.float32) * 0.1
    monkeypatch.setattr("tests.support.media.samples_of", lambda sample: np.concatenate([wave, -wave]))
    media = read_media(write(tmp_path / "a.mov", spec))
    assert np.abs(media.audio.numpy() - wave[0]).max() < 1e-4
    assert any("cancel each other" in note for note in media.notes)
    monkeypatch.setattr("tests.support.media.samples_of", lambda sample: np.concatenate([wave, wave * 0.0]))
    media = read_media(write(tmp_path / "b.mov", spec))
    assert np.abs(media.audio.numpy() - wave[0] / 2).max() < 1e-4
    assert media.notes == ()


# Names


@pytest.mark.parametrize(
    "name",
    ["2024-05-01T10:00:00.mp4", "http:x.mp4", "$HOME.mp4", "%03d.mp4", "-i.mp4", "a\nb.mp4", "b" * 251 + ".mp4",
     os.fsdecode(b"caf\xe9.mp4")],
    ids=["colon", "protocol", "dollar", "percent", "dash", "newline", "longest", "not-utf-8"],
)  # fmt: skip
def test_any_name_is_opened(tmp_path, monkeypatch, name):
    write(tmp_path / "plain.mp4", MediaSpec()).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(name).seconds == pytest.approx(3.0, abs=0.1)


def test_an_odd_frame_rate_of_the_container_stays_on_the_clock(tmp_path):
    media = read_media(write(tmp_path / "a.mkv", MediaSpec(seconds=6, fps=Fraction(25, 2))))
    assert_in_sync_at(media, 1.5, Fraction(25, 2))


def assert_in_sync_at(media, recorded, fps):
    (time,) = clicks(media)
    assert number_in(media.video[int(time * 25)].numpy()) == pytest.approx(recorded * float(fps), abs=1)


def test_what_follows_a_whole_file_is_no_damage(tmp_path):
    path = write(tmp_path / "a.mp4", MediaSpec())
    path.write_bytes(path.read_bytes() + b"a trailer of some vendor")
    assert read_media(path).notes == ()
