"""Crops: which part of the picture and of the sound a start and an offset mean."""

import hashlib
import math

import numpy as np
import pytest
import torch

from synchformer.config import BASE, MINI
from synchformer.media.crop import center_crop, cut_crop, load_clip, possible_offsets, possible_starts
from synchformer.media.decode import read_media
from synchformer.media.probe import MediaError, probe
from tests.support.media import MediaSpec, click_in, number_in, write
from tests.support.paths import SHARED

CLICK = 4.5
REAL_CLIPS = SHARED / "clips"
# Start and offset in seconds, first frame and first sample, SHA-256 of the half-precision model input: recorded from
# the published code on three clips that are not part of this repository.
PUBLISHED = {
    "3qesirWAGt4_20000_30000": (0.0, 1.6, 0, 25600, "f8ef6f7f6a924dd813f7b829a7ad0bbdd715817d172efcd3ce98fdc3bfbcf111"),
    "ZYc410CE4Rg_0_10000": (4.0, -2.0, 100, 32000, "b74c5bd02d6559e80dfb5d4979c2a067c1b9561f21a2aa74ed22b8b7413a0407"),
    "lrs3_00018": (0.5, 0.0, 12, 8000, "96b5d9e21f4e50ce6ca82f084bbc59bce036516c362d1500cdf701b3e4ce7659"),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    sample = MediaSpec(seconds=10.0, click=CLICK, audio="flac", size=(112, 128))
    return write(tmp_path_factory.mktemp("clip") / "ten.mkv", sample)


@pytest.mark.parametrize("offset", [-2.0, -0.44, 0.0, 0.4, 1.2, 2.0])
def test_above_zero_the_sound_is_early(path, offset):
    clip = load_clip(path, 2.0, offset, config=MINI)
    assert click_in(clip.audio.numpy(), 16_000) == pytest.approx(CLICK - 2.0 - offset, abs=1e-3)
    assert number_in(clip.video[0].numpy()[:, :, 8:-8]) >= 0
    assert clip.video_times == pytest.approx((2.0, 7.0))
    assert clip.audio_times == pytest.approx((2.0 + offset, 7.0 + offset))


@pytest.mark.parametrize("start", [0.0, 1.21, 2.519, 3.02])
def test_picture_and_sound_start_together(path, start):
    clip = load_clip(path, start, 0.0, config=MINI)
    assert clip.video_start == pytest.approx(round(start * 25) / 25)
    assert clip.audio_start == pytest.approx(clip.video_start, abs=0.5 / 16_000)


def test_the_published_code_truncates(path):
    clip = load_clip(path, 1.2399, 0.4, config=MINI, as_published=True)
    assert clip.video_start == 30 / 25, "1.2399 s is frame 30.9975"
    assert clip.audio_start == int((1.2399 + 0.4) * 16_000) / 16_000
    early = load_clip(path, 1.99, -2.0, config=MINI, as_published=True)
    assert early.audio_start == 0.0, "a start up to a frame before the file is moved to its beginning"


def test_an_offset_is_cut_from_memory_as_from_the_file(path):
    media = read_media(path, short_side=MINI.short_side)
    for offset in (-1.2, 0.52):
        kept, read = cut_crop(media, 2.0, offset, config=MINI), load_clip(path, 2.0, offset, config=MINI)
        assert torch.equal(kept.video, read.video)
        assert torch.equal(kept.audio, read.audio)


def test_segments_lie_where_the_config_says(path):
    clip = load_clip(path, 2.0, 0.4, config=MINI)
    frames, mel = clip.frames(), clip.mel()
    assert frames.shape == (14, 16, 3, MINI.image_size, MINI.image_size)
    assert mel.shape == (14, 128, 66)
    for segment, first in enumerate(MINI.segment_starts):
        expected = clip.video[first : first + 16].float() / 127.5 - 1
        assert torch.allclose(frames[segment], expected, atol=1e-6)
    loud = [segment for segment in range(14) if mel[segment, :, :64].max() > mel.min() + 1]
    begins = [first / 25 for first in MINI.segment_starts]
    click = CLICK - 2.0 - 0.4
    assert loud == [segment for segment, begin in enumerate(begins) if begin - 0.01 <= click < begin + 0.64]


def test_half_precision_as_published(path):
    clip = load_clip(path, 2.0, config=MINI, as_published=True)
    first = MINI.segment_starts[3]
    half = (clip.video[first : first + 16].half() / 255 - 0.5) / 0.5
    assert torch.equal(clip.frames()[3], half.float())


@pytest.mark.parametrize(("size", "edges"), [((256, 454), (16, 115)), ((256, 340), (16, 58)), ((257, 229), (16, 2))])
def test_center_crop_rounds_halves_to_even(size, edges):
    rows = torch.arange(size[0])[:, None].expand(size)
    columns = torch.arange(size[1]).expand(size)
    cropped = center_crop(torch.stack([rows, columns, rows])[None], 224)
    assert cropped.shape == (1, 3, 224, 224)
    assert (int(cropped[0, 0, 0, 0]), int(cropped[0, 1, 0, 0])) == edges


def test_frames_smaller_than_the_crop_are_refused():
    with pytest.raises(MediaError, match="200 x 100 pixels, the model needs 224"):
        center_crop(torch.zeros(1, 3, 100, 200), 224)


# What is possible, and what is said otherwise


def test_possible_starts_and_offsets(path):
    info = probe(path)
    assert possible_starts(info, BASE) == pytest.approx((0.0, 5.0), abs=0.01)
    assert possible_starts(info, BASE, 1.0) == pytest.approx((0.0, 4.0), abs=0.01)
    assert possible_starts(info, BASE, -1.0) == pytest.approx((1.0, 5.0), abs=0.01)
    assert possible_offsets(info, BASE, 2.0) == pytest.approx((-2.0, 3.0), abs=0.01)


def test_too_short_says_what_is_there_and_what_is_needed(tmp_path):
    path = write(tmp_path / "short.mp4", MediaSpec(seconds=3.0))
    with pytest.raises(MediaError, match=r"short.mp4 is too short: its picture lasts 3.0\d s .* 5.40 s are needed"):
        load_clip(path, 0.0, 0.4, config=MINI)


@pytest.mark.parametrize(
    ("start", "offset", "message"),
    [
        (6.0, 0.0, r"start 6.00 s is outside ten.mkv: .* between 0.00 and 5.0"),
        (-1.0, 0.0, r"start -1.00 s is outside"),
        (4.0, 1.5, r"choose an offset from -4.00 to \+1.0"),
        (0.5, -1.0, r"an offset of -1.00 s at start 0.50 s .* choose an offset from -0.50"),
        (math.nan, 0.0, "must be numbers"),
        (0.0, math.inf, "must be numbers"),
    ],
)
def test_outside_says_the_possible_range(path, start, offset, message):
    with pytest.raises(MediaError, match=message):
        load_clip(path, start, offset, config=MINI)


def test_cutting_outside_what_was_read_is_refused(path):
    media = read_media(path, 2.0, 8.0, short_side=MINI.short_side)
    assert len(cut_crop(media, 2.5, 0.4, config=MINI).audio) == 80_000
    with pytest.raises(MediaError, match=r"was read from 2.00 to 8.00 s only"):
        cut_crop(media, 1.0, 0.0, config=MINI)


def test_a_stream_that_ends_a_little_early_is_made_up(tmp_path):
    path = write(tmp_path / "almost.mkv", MediaSpec(seconds=4.96, click=2.0, audio="flac", size=(112, 128)))
    clip = load_clip(path, config=MINI)
    assert torch.equal(clip.video[-1], clip.video[-2])
    assert clip.audio[-600:].abs().max() == 0


# Three real clips, where they are at hand


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason=f"the real clips are not at {REAL_CLIPS}")
@pytest.mark.parametrize("name", PUBLISHED)
def test_real_clips_give_the_published_input(name):
    start, offset, frame, sample, digest = PUBLISHED[name]
    clip = load_clip(REAL_CLIPS / f"{name}.mp4", start, offset, as_published=True)
    assert round(clip.video_start * 25) == frame
    assert round(clip.audio_start * 16_000) == sample
    assert hashlib.sha256(np.ascontiguousarray(clip.frames().half().numpy()).tobytes()).hexdigest() == digest
