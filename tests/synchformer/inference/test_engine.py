"""The engine: what is refused, and segments that come out the same however they go in."""

import pickle

import pytest
import torch

from interface.session.session import Session
from synchformer.consensus.batch import predict_folder
from synchformer.inference import engine
from synchformer.inference.engine import check_model, encode_pictures, encode_sounds, pass_size, synchronize
from synchformer.inference.prediction import decide_all, predict, predict_synchronizability
from synchformer.inference.sliding_windows import Plan, read_windows
from synchformer.media.preprocess import mel_spectrogram, normalize_frames
from synchformer.offsets.calibration import assumed
from synchformer.offsets.continuous import fine
from synchformer.offsets.desync import score
from synchformer.offsets.scan import scan
from tests.support.models import TINY, tiny


@pytest.fixture(scope="module")
def model():
    return tiny()


def pictures(count):
    return torch.randint(256, (count, 16, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def sounds(count):
    return torch.randn(count, TINY.segment_samples, generator=torch.Generator().manual_seed(1))


OFFSETS = {
    "predict": lambda model: predict(model, None),
    "decide_all": lambda model: decide_all(model, []),
    "fine": lambda model: fine(model, "none.mp4"),
    "scan": lambda model: scan(model, "none.mp4", calibration=assumed(model.config.grid)),
    "predict_folder": lambda model: list(predict_folder(model, [])),
    "desync": lambda model: list(score(model, [])),
    "the page": Session,
}


@pytest.mark.parametrize("ask", OFFSETS.values(), ids=OFFSETS)
def test_the_wrong_head_is_refused_in_one_sentence(ask):
    with pytest.raises(ValueError) as refused:
        ask(tiny("synchronizability"))
    assert str(refused.value) == (
        "this needs a model with the offset head, but tiny has the synchronizability head; choose another, such as "
        "mini or audioset"
    )


def test_the_other_head_is_asked_for_in_the_same_words(model):
    with pytest.raises(ValueError) as refused:
        predict_synchronizability(model, None)
    assert str(refused.value) == (
        "this needs a model with the synchronizability head, but tiny has the offset head; choose another, such as "
        "mini-synchronizability or synchronizability"
    )
    check_model(model)


def test_training_mode_is_refused():
    model = tiny().train()
    with pytest.raises(ValueError, match="training mode"):
        check_model(model)
    with pytest.raises(ValueError, match="training mode"):
        list(read_windows(model, "none.mp4", Plan(hop=8, shifts=(0,))))


def test_pictures_and_sounds_may_come_as_they_are_or_prepared(model):
    raw, waves = pictures(3), sounds(3)
    assert torch.equal(encode_pictures(model, raw), encode_pictures(model, normalize_frames(raw)))
    assert torch.equal(encode_sounds(model, waves), encode_sounds(model, mel_spectrogram(waves, TINY)))
    with torch.inference_mode():
        assert torch.equal(encode_pictures(model, raw), model.encode_video(normalize_frames(raw)[None])[0])
        assert torch.equal(encode_sounds(model, waves), model.encode_audio(mel_spectrogram(waves, TINY)[None])[0])


def test_passes_are_bounded_and_change_nothing(model, monkeypatch):
    counts, encode = [], model.encode_audio
    monkeypatch.setattr(model, "encode_audio", lambda mel: counts.append(mel.shape[1]) or encode(mel))
    whole, parts = encode_sounds(model, sounds(11)), encode_sounds(model, sounds(11), size=4)
    assert counts == [11, 4, 4, 3]
    torch.testing.assert_close(parts, whole)
    assert pass_size("film segments", torch.device("mps")) == pass_size("film segments", torch.device("cpu"))


def test_spectrograms_are_made_in_full_precision(model):
    waves = sounds(3)
    mel = mel_spectrogram(waves, TINY)
    half = encode_sounds(model, waves, "bf16")
    assert torch.equal(half, encode_sounds(model, mel, "bf16"))
    assert torch.equal(half, encode_sounds(model, mel, torch.bfloat16))
    assert not torch.equal(half, encode_sounds(model, mel, "fp32"))


def test_nothing_is_recorded_for_gradients_and_work_can_be_sent_elsewhere(model):
    video, audio = encode_pictures(model, pictures(14))[None], encode_sounds(model, sounds(14))[None]
    logits = synchronize(model, video, audio)
    assert logits.shape == (1, TINY.classes)
    assert not any(each.requires_grad for each in (video, audio, logits))
    for work in (encode_pictures, encode_sounds, synchronize):
        assert pickle.loads(pickle.dumps(work)) is getattr(engine, work.__name__)
