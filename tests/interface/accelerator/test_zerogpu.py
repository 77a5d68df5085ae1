"""Work on ZeroGPU, which a fake of its package plays: everything is pickled on the way, and nothing is kept there."""

import importlib.machinery
import pickle
import sys
import types

import pytest
import torch

from attribution.masking.distractors import load_bank
from attribution.settings import Settings
from interface.accelerator import tasks, zerogpu
from interface.accelerator.zerogpu import moved, on_accelerator
from interface.session.errors import PageError
from interface.session.film_jobs import FixOptions, ScanOptions, new_survey, run_fix, run_scan
from interface.session.session import Session
from synchformer.checkpoints.registry import save_model
from synchformer.inference.prediction import Encoding
from tests.support.flash_click import write_flash_click
from tests.support.models import tiny
from tests.support.page import TINY


def fake_spaces(log):
    """Its decorator: arguments and answers are pickled, and an error is told by its class alone, as there."""

    def on_gpu(duration):
        def decorate(work):
            def call(*arguments):
                log.append((work.__name__, arguments[0].__name__, duration))
                return pickle.loads(pickle.dumps(work(*pickle.loads(pickle.dumps(arguments)))))

            def calls(*arguments):
                log.append((work.__name__, arguments[0].__name__, duration))
                for part in work(*pickle.loads(pickle.dumps(arguments))):
                    yield pickle.loads(pickle.dumps(part))

            return calls if work.__name__ == "_calls" else call

        return decorate

    module = types.ModuleType("spaces")
    module.__spec__ = importlib.machinery.ModuleSpec("spaces", None)
    module.GPU = on_gpu
    return module


@pytest.fixture
def zero_gpu(monkeypatch):
    """The log of what was asked of ZeroGPU."""
    log = []
    monkeypatch.setitem(sys.modules, "spaces", fake_spaces(log))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    for name in ("_call", "_calls"):
        monkeypatch.setattr(zerogpu, name, on_accelerator(zerogpu.SECONDS)(getattr(zerogpu, name)))
    monkeypatch.setattr(zerogpu, "_models", {})
    return log


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zero")
    return [write_flash_click(folder / f"{event}.mp4", seconds=10, event=float(event)) for event in (3, 5)]


def test_elsewhere_nothing_changes(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)

    def work():
        return 7

    assert on_accelerator()(work) is work
    monkeypatch.setitem(sys.modules, "spaces", fake_spaces([]))  # the package alone is no ZeroGPU
    assert on_accelerator()(work) is work


def test_no_time_is_an_error():
    with pytest.raises(ValueError, match="more than 0 s"):
        on_accelerator(0)


def test_every_step_of_a_session_is_asked_of_the_accelerator(zero_gpu, clips, monkeypatch, tmp_path):
    """The same answers as here; a long attribution in several calls."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("interface.session.session.REPORT_SECONDS", 0.0)
    model = tiny()
    settings = Settings(samples=600, seed=1)

    def everything(session):
        opened = session.open(clips[0])
        first = session.predict(opened.key, 2.0, 0.0)
        ahead, _ = session.ahead(opened.key, 2.0, [0.4, 0.8])
        odd = session.predict(opened.key, 2.0, 0.123)
        *_, last = session.attribute(opened.key, 2.0, 0.0, settings, (clips[1],))
        values = session.explain(opened.key, 2.0, 0.0, settings, "occlusion", (clips[1],))
        logits = [each.logits for each in (first, odd, *(each.prediction for each in ahead))]
        return logits, last.masks, last.curves[0].estimates.score.value, values["audio"]

    monkeypatch.setattr(zerogpu, "ROUND_SECONDS", 0.0)  # each call ends after its first part
    there = everything(Session(model, name="tiny"))
    assert {(name, step) for name, step, _ in zero_gpu} == {
        ("_call", "first_answer"), ("_call", "more_answers"), ("_call", "other_sound"), ("_call", "bank"),
        ("_call", "explained"), ("_calls", "attribute"),
    }  # fmt: skip
    assert {duration for *_, duration in zero_gpu} == {zerogpu.SECONDS}
    assert sum(step == "attribute" for _, step, _ in zero_gpu) > 1
    monkeypatch.delenv("SPACES_ZERO_GPU")
    run_locally = everything(Session(model, name="tiny"))
    assert there[0] == run_locally[0]
    assert there[1] == run_locally[1] == 1200
    for one, other in zip(there[2:], run_locally[2:], strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_closing_the_stream_ends_the_work(zero_gpu, clips, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("interface.session.session.REPORT_SECONDS", 0.0)
    ended = []
    whole = tasks.stream

    def watched(*arguments, **options):
        try:
            yield from whole(*arguments, **options)
        finally:
            ended.append(True)

    monkeypatch.setattr(tasks, "stream", watched)
    session = Session(tiny(), name="tiny")
    opened = session.open(clips[0])
    parts = session.attribute(opened.key, 2.0, 0.0, Settings(samples=20_000), (clips[1],))
    assert not next(parts).finished
    parts.close()
    assert ended == [True]


def test_an_error_keeps_its_sentence(zero_gpu, clips, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    session = Session(tiny(), name="tiny")
    opened = session.open(clips[0])
    with pytest.raises(PageError, match="at least 2 crops of them are needed"):
        next(session.attribute(opened.key, 2.0, 0.0, Settings(samples=100), (clips[0],)))


def test_zero_gpu_that_gives_no_time_is_told_in_its_words(zero_gpu, clips, monkeypatch):
    import gradio as gr

    def refuse(*arguments):
        raise gr.Error("You have exceeded your GPU quota")

    monkeypatch.setattr(zerogpu, "_call", refuse)
    session = Session(tiny(), name="tiny")
    with pytest.raises(PageError, match="exceeded your GPU quota"):
        session.predict(session.open(clips[0]).key, 2.0, 0.0)


def test_a_worker_loads_a_model_that_is_younger_than_itself(zero_gpu, clips, tmp_path):
    model = tiny()
    path = save_model(model, tmp_path / "own.safetensors")
    zerogpu.hold(model, str(path), "cpu")
    zerogpu._models.clear()  # as a worker finds it that was forked before
    session = Session(model, name="own")
    opened = session.open(clips[0])
    assert session.predict(opened.key, 2.0, 0.0).logits
    unknown = tiny()
    zerogpu.hold(unknown)
    zerogpu._models.clear()
    session = Session(unknown, name="unknown")
    opened = session.open(clips[0])
    with pytest.raises(PageError, match="choose it again"):
        session.predict(opened.key, 2.0, 0.0)


def test_everything_moves():
    encoding = Encoding(torch.zeros(1, 2, 8, TINY.dim), torch.ones(1, 2, 6, TINY.dim), 0.4)
    there = moved({"a": [encoding, 3], "b": (encoding.video_features,)}, "meta")
    assert there["a"][0].audio_features.device.type == "meta"
    assert (there["a"][0].applied_offset, there["a"][1]) == (0.4, 3)
    assert there["b"][0].device.type == "meta"


def test_bank_travels(clips, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bank = load_bank(tiny(), clips)
    there = moved(pickle.loads(pickle.dumps(bank)), "cpu")
    assert there.distractors[0].name == bank.distractors[0].name
    assert torch.equal(there.distractors[0].encoding.audio_features, bank.distractors[0].encoding.audio_features)


def test_whole_videos_are_asked_of_the_accelerator(zero_gpu, clips, monkeypatch, tmp_path):
    """A scan and a corrected file, with the figures that they have here."""
    model = tiny()

    def everything(out):
        session = Session(model, name="tiny")
        asked = new_survey(session, clips[0], ScanOptions(reach=0.64))
        assert list(run_scan(session, asked))
        *_, repair = run_fix(session, clips[0], tmp_path / out, FixOptions(offset=0.2, reach=0.0))
        return [asked.timeline().as_dict(), repair.after.as_dict()]

    def figures(found):
        return [{key: value for key, value in each.items() if key not in ("took", "video")} for each in found]

    there = everything("there.mp4")
    steps_asked = {(name, step) for name, step, _ in zero_gpu}
    assert steps_asked == {("_call", "encode_pictures"), ("_call", "encode_sounds"), ("_call", "synchronize")}
    monkeypatch.delenv("SPACES_ZERO_GPU")
    assert figures(there) == figures(everything("here.mp4"))
