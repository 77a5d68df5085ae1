"""Data sets: what they list, what they leave out, and that every source gives the same crop."""

import pickle

import numpy as np
import pytest

from synchformer.config import MINI
from synchformer.media.crop import load_clip
from synchformer.media.probe import MediaError
from synthetic import render_sound
from tests.support.media import MediaSpec, click_in, number_in, write
from training.datasets.folders import checksum_split, group_of
from training.datasets.generated import GeneratedSource
from training.datasets.registry import SourceOptions, open_source
from training.datasets.source import Place, read_crop


def test_generated_seeds_never_overlap():
    source = open_source("synthetic:7", SourceOptions(generated=GeneratedSource(train=3, valid=2, test=2)))
    assert [sample.group for sample in source.samples("train")] == ["7", "8", "9"]
    assert [sample.group for sample in source.samples("valid")] == ["1000000", "1000001"]
    assert [sample.group for sample in source.samples("test")] == ["2000000", "2000001"]
    with pytest.raises(ValueError, match="train clips have seeds from 0 to 999999"):
        GeneratedSource(seed=999_999, train=2)


def test_generated_clips_tell_their_truth_and_recorded_ones_do_not(tmp_path):
    source = GeneratedSource(seed=7, train=3, valid=2, test=2, without=("clap",))
    assert (
        source.description("valid") == "generated clips, seeds 1000000 to 1000001, 1 to 4 events, without clap (valid)"
    )
    for split in ("train", "valid", "test"):
        recipe, samples = source.recipe(split), source.samples(split)
        assert [recipe.scene(index) for index in range(recipe.count)] == [source.scene(sample) for sample in samples]
    (tmp_path / "a.mp4").touch()
    files = open_source(f"folder:{tmp_path}")
    assert not files.is_generated
    assert files.description("test") == f"folder:{tmp_path} (test)"
    assert (files.recipe("train"), files.scene(files.entries[0])) == (None, None)


def test_generated_clip_is_cut_where_asked():
    source = GeneratedSource(train=1, valid=0, test=0)
    sample = source.samples("train")[0]
    clip = read_crop(source, sample, Place(1.0, 0.4), MINI)
    wave = render_sound(source.scene(sample))
    assert np.array_equal(clip.audio.numpy(), wave[round(1.4 * 16_000) : round(6.4 * 16_000)])
    assert clip.video.shape == (125, 3, 96, 96)
    assert source.info(sample).seconds == 10.0
    with pytest.raises(MediaError, match=r"choose an offset from -1\.00"):
        read_crop(source, sample, Place(1.0, -2.0), MINI)


def test_folder_gives_the_crop_that_load_clip_gives(tmp_path):
    (tmp_path / "clap").mkdir()
    path = write(tmp_path / "clap" / "ID_0_8000.mp4", MediaSpec(seconds=8.0, click=3.0, size=(128, 160)))
    (tmp_path / "notes.txt").write_text("x")
    source = open_source(f"folder:{tmp_path}")
    sample = source.entries[0]
    assert (sample.id, sample.group, sample.labels) == ("clap/ID_0_8000", "clap/ID", ("clap",))
    assert source.left_out[0].reason == "no video file (.txt)"
    clip = read_crop(source, sample, Place(1.0, 0.4), MINI)
    same = load_clip(path, 1.0, 0.4, config=MINI)
    assert np.array_equal(clip.video, same.video)
    assert np.array_equal(clip.audio, same.audio)
    assert click_in(clip.audio.numpy(), 16_000) == pytest.approx(3.0 - 1.4, abs=0.002)
    whole = source.read(sample, MINI)
    assert number_in(whole.video[30].numpy()) == 30


def test_folder_splits(tmp_path):
    for name in ("train/a_0_10.mp4", "val/b.mp4", "stray.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    source = open_source(f"folder:{tmp_path}")
    assert [(sample.id, sample.split, sample.group) for sample in source.entries] == [
        ("train/a_0_10", "train", "a"),
        ("val/b", "valid", "b"),
    ]
    assert source.left_out[0].reason.startswith("outside the folders")


def test_clips_of_one_recording_share_a_split():
    assert group_of("---g-f_I2yQ_1000_11000") == "---g-f_I2yQ"
    shares = [checksum_split(f"video{number}") for number in range(2000)]
    assert shares.count("train") / 2000 == pytest.approx(0.8, abs=0.03)
    assert shares.count("test") / 2000 == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tape:0", "no data set"),
        ("synthetic:", "no data set"),
        ("synthetic:x", "needs a seed"),
        ("folder:/nowhere", "there is no folder"),
    ],
)
def test_unknown_data_sets_are_a_sentence(name, said):
    with pytest.raises(ValueError, match=said):
        open_source(name)


def test_empty_folder_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="holds no video"):
        open_source(f"folder:{tmp_path}")


def test_sources_can_be_sent_to_workers(tmp_path):
    (tmp_path / "a.mp4").touch()
    for name in ("synthetic:3", f"folder:{tmp_path}"):
        source = open_source(name)
        assert pickle.loads(pickle.dumps(source)) == source
