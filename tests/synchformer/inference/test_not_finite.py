"""NaN, infinity and overflow: an error that names the file, wherever it is asked about, and the rest goes on."""

import csv
import json
import math
from dataclasses import replace
from importlib import import_module

import av
import numpy as np
import pytest

from attribution.masking.distractors import load_bank
from attribution.sampling_loop import stream
from attribution.settings import Settings
from synchformer.cli import main
from synchformer.consensus.batch import write_table
from synchformer.errors import NotFiniteError
from synchformer.inference.prediction import predict, predict_file, predict_synchronizability
from synchformer.inference.sliding_windows import Plan, read_windows
from synchformer.inference.sweep import read_around, sweep
from synchformer.media.crop import load_clip
from synchformer.media.decode import OpenMedia
from synchformer.media.probe import MediaError
from synchformer.offsets.desync import desync, pair_by_name
from tests.support.media import MediaSpec, write
from tests.support.models import TINY, tiny

BAD = {"nan": math.nan, "inf": math.inf, "negative": -math.inf, "huge": 1e29}


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write(tmp_path_factory.mktemp("films") / "good.mp4", MediaSpec(seconds=12.0, click=2.5))


def poisoned(audio, value):
    wave = audio.clone()
    wave[len(wave) // 2] = value
    return wave


@pytest.fixture
def poison(monkeypatch):
    """Whatever is decoded of files whose name says so holds a bad sample, as before decoding mends it."""
    read = OpenMedia.read_for_model

    def reading(self, *arguments, **named):
        media = read(self, *arguments, **named)
        bad = next((value for name, value in BAD.items() if name in self.path.stem), None)
        return media if bad is None else replace(media, audio=poisoned(media.audio, bad))

    monkeypatch.setattr(OpenMedia, "read_for_model", reading)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_clip_is_refused_by_name(model, video, bad):
    clip = load_clip(video, 0.0, config=TINY)
    clip = replace(clip, audio=poisoned(clip.audio, bad))
    with pytest.raises(MediaError, match=r"^good.mp4: its sound holds values that are no numbers"):
        predict(model, clip)
    other = tiny("synchronizability")
    whole = load_clip(video, 0.0, config=other.config)
    with pytest.raises(MediaError, match=r"^good.mp4: its sound"):
        predict_synchronizability(other, replace(whole, audio=poisoned(whole.audio, bad)))
    settings = Settings(samples=16)
    with pytest.raises(MediaError, match=r"^good.mp4: its sound"):
        next(stream(model, clip, load_bank(model), settings))


@pytest.mark.parametrize("bad", ["nan", "huge"])
def test_sweeps_and_windows_are_refused_by_name(model, video, tmp_path, poison, bad):
    path = tmp_path / f"{bad}.mp4"
    path.write_bytes(video.read_bytes())
    with pytest.raises(MediaError, match=rf"^{bad}.mp4: its sound"):
        list(sweep(model, read_around(model, path, 3.0), 3.0, [0.0, 0.2]))
    with pytest.raises(MediaError, match=rf"^{bad}.mp4: its sound"):
        list(read_windows(model, path, Plan(hop=8, shifts=(0,))))


def test_a_batch_goes_on(model, video, tmp_path, poison):
    names = ["a_nan.mp4", "b_good.mp4", "c_huge.mp4", "d_good.mp4"]
    files = [tmp_path / name for name in names]
    for path in files:
        path.write_bytes(video.read_bytes())
    counts = write_table(model, files, tmp_path / "table.csv", model_name="tiny", workers=1)
    assert counts == {"measured": 2, "failed": 2, "kept": 0}
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["failed", "ok", "failed", "ok"]
    assert all("its sound holds values that are no numbers" in row["note"] for row in rows[::2])
    assert not any(row["single_confidence"] for row in rows[::2])


def test_a_set_counts_no_such_clip(model, video, tmp_path, monkeypatch):
    for name in ("a_nan.mp4", "b_good.mp4"):
        (tmp_path / name).write_bytes(video.read_bytes())
    alone = desync(model, pair_by_name(tmp_path)[1:], "synchformer", model_name="tiny")
    module = import_module("synchformer.offsets.desync")
    streams = module._streams

    def reading(pairing, *arguments):
        picture, sound = streams(pairing, *arguments)
        return picture, poisoned(sound, math.nan) if "nan" in pairing.name else sound

    monkeypatch.setattr(module, "_streams", reading)
    report = desync(model, pair_by_name(tmp_path), "synchformer", model_name="tiny", out=tmp_path / "set.csv")
    assert [clip.status for clip in report.clips] == ["unreadable", "ok"]
    assert report.systems[0].mean == alone.systems[0].mean
    assert "nan" not in (tmp_path / "set.csv").read_text().replace("a_nan", "").replace("(NaN", "").lower()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_none_give_no_answer(video, bad):
    model = tiny()
    model.synchronizer.head.weight.data[0, 0] = bad
    with pytest.raises(NotFiniteError, match="the model tiny answers with NaN or infinity"):
        predict_file(model, video)
    model = tiny()
    next(model.audio_encoder.parameters()).data.fill_(bad)
    with pytest.raises(NotFiniteError, match="the model tiny answers with NaN or infinity"):
        predict_file(model, video)


@pytest.fixture(scope="module")
def broken_file(tmp_path_factory):
    """A file whose float sound really holds such samples: NaN, infinity, and 1e29."""
    path = tmp_path_factory.mktemp("broken") / "broken.mkv"
    wave = 0.1 * np.random.default_rng(0).standard_normal(16_000 * 10).astype(np.float32)
    wave[[1000, 50_000, 100_000]] = np.nan, np.inf, 1e29
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("pcm_f32le", rate=16_000, layout="mono")
        for index in range(250):
            picture = np.full((48, 64, 3), index, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for first in range(0, len(wave), 1600):
            frame = av.AudioFrame.from_ndarray(wave[None, first : first + 1600], format="flt", layout="mono")
            frame.sample_rate, frame.pts = 16_000, first
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("arguments", [["predict"], ["predict", "--fine"], ["scan"]], ids=" ".join)
def test_json_of_such_a_file_is_json(broken_file, video, arguments, capsys):
    """Whether its samples are mended or refused: every line is JSON, or the error is one sentence that names it."""
    status = main([*arguments, str(broken_file), "--json"])
    output, errors = capsys.readouterr()
    for line in output.splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert "Traceback" not in errors
    assert status == 0 or "broken.mkv" in output + errors
