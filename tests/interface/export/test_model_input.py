"""What was fed, seen and heard again: the model's own tensors turned back, compared with what was put into the file."""

import av
import numpy as np
import pytest
import torch
from PIL import Image

from interface.export.model_input import (
    contact_sheet,
    input_frames,
    input_mel,
    input_sound,
    input_times,
    write_model_input,
)
from synchformer.config import BASE, MINI
from synchformer.media.crop import load_clip
from synchformer.media.preprocess import LOG_FLOOR, log_mel
from tests.support.flash_click import flash_and_click, write_flash_click
from tests.support.media import click_in

EVENT, START, OFFSET = 5.0, 2.0, 0.4


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = write_flash_click(tmp_path_factory.mktemp("fed") / "a.mp4", seconds=10, event=EVENT)
    return load_clip(path, START, OFFSET, config=MINI)


@pytest.fixture(scope="module")
def sound(clip):
    return input_sound(clip)


def test_the_frames_are_those_of_the_segments(clip):
    frames = input_frames(clip)
    first = MINI.segment_starts[0]
    assert torch.equal(frames, clip.video[first : first + 120])
    flash = int(frames.float().mean((1, 2, 3)).argmax())
    assert input_times(MINI)[0] + flash / 25 == pytest.approx(EVENT - START)


def test_the_spectrogram_is_that_of_the_whole_crop(clip):
    """Joined from overlapping segments it equals the spectrogram of the uncut sound, but at the two outer edges."""
    whole = (log_mel(clip.audio, MINI).exp() - LOG_FLOOR).clamp(min=0)
    first = round(input_times(MINI)[0] / 0.01)
    joined = input_mel(clip)
    assert joined.shape == (128, 481)
    torch.testing.assert_close(joined[:, 2:-2], whole[:, first + 2 : first + 479], rtol=1e-3, atol=1e-4)


def test_the_click_is_heard_where_it_was(clip, sound):
    assert len(sound) == 120 * 640
    assert input_times(MINI)[0] + click_in(sound.numpy(), 16_000) == pytest.approx(EVENT - START - OFFSET, abs=0.02)
    quiet = sound[: round(1.5 * 16_000)].abs().max()
    assert quiet < 0.05 * sound.abs().max()


def test_the_rebuilt_sound_has_the_same_bands(tmp_path_factory):
    """Two tones, one after the other: in each half the band of the right one is the loudest."""
    wave = torch.zeros(80_000)
    t = torch.arange(80_000) / 16_000
    wave[:40_000], wave[40_000:] = (0.5 * torch.sin(2 * torch.pi * hertz * t[:40_000]) for hertz in (500, 3000))
    path = write_flash_click(tmp_path_factory.mktemp("tones") / "a.mp4", seconds=6, event=3.0)
    clip = load_clip(path, 0.0, config=MINI)
    object.__setattr__(clip, "audio", wave)
    rebuilt = input_sound(clip).numpy()
    for part, hertz in ((rebuilt[16_000:32_000], 500), (rebuilt[44_000:60_000], 3000)):
        spectrum = np.abs(np.fft.rfft(part))
        assert float(spectrum.argmax()) == pytest.approx(hertz, rel=0.05)


def test_the_movie_shows_and_sounds_it(clip, tmp_path):
    path = write_model_input(clip, tmp_path / "fed.mp4")
    flash, click = flash_and_click(path)
    first = input_times(MINI)[0]
    assert flash == pytest.approx(EVENT - START - first, abs=1e-3)
    assert click == pytest.approx(EVENT - START - OFFSET - first, abs=0.02)
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
        assert container.streams.video[0].width == 4 * MINI.image_size
        assert container.duration / 1e6 == pytest.approx(4.8, abs=0.07)


def test_the_sheet_holds_every_fifth_frame(clip):
    sheet = contact_sheet(clip)
    pixels = np.asarray(sheet)
    bright = pixels[: MINI.image_size, : MINI.image_size].mean()
    assert bright < 60  # the first frame is dark
    place = round((EVENT - START - input_times(MINI)[0]) * 25)
    if place % 5 == 0:
        x, y = place // 5 % 6 * (MINI.image_size + 4), place // 5 // 6 * (MINI.image_size + 17)
        assert pixels[y + 20 : y + 60, x + 20 : x + 60].mean() > 200
    assert sheet.size[0] == 6 * (MINI.image_size + 4) - 4
    assert isinstance(sheet, Image.Image)


def test_other_sizes(tmp_path):
    """The paper's size, and the 13 segments of the synchronizability model."""
    path = write_flash_click(tmp_path / "a.mp4", seconds=8, event=EVENT)
    config = BASE.with_head("synchronizability")
    clip = load_clip(path, START, config=config)
    assert input_frames(clip).shape == (112, 3, 224, 224)
    assert input_times(config) == (0.0, 4.48)
    assert input_mel(clip).shape == (128, 449)
