"""Predictions: known answers, words, precision, and features that are used again."""

import copy
import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from synchformer.config import MINI
from synchformer.inference.prediction import (
    Prediction,
    Synchronizability,
    Timing,
    decide,
    encode,
    offset_in_words,
    predict,
    predict_synchronizability,
)
from synchformer.modeling.synchformer import Synchformer

TINY = replace(
    MINI, name="tiny", short_side=32, image_size=32, dim=16, heads=2, video_depth=1, audio_depth=1, sync_dim=16,
    sync_depth=1, sync_heads=2,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class FakeClip:
    """Random input of the right shapes, without a file."""

    config: object = TINY
    offset: float = 0.0
    seed: int = 0
    notes: tuple = ("a note of the reader",)
    path: Path = Path("no file")

    @property
    def video(self):
        return torch.randint(0, 256, (125, 3, 32, 32), dtype=torch.uint8)

    @property
    def audio(self):
        return torch.randn(80_000)

    def frames(self):
        size = (self.config.segments, 16, 3, self.config.image_size, self.config.image_size)
        return torch.randn(size, generator=torch.Generator().manual_seed(self.seed))

    def mel(self):
        size = (self.config.segments, 128, 66)
        return torch.randn(size, generator=torch.Generator().manual_seed(self.seed + round(self.offset * 25) + 1))


class KnownAnswer(torch.nn.Module):
    """A synchronizer that always gives these probabilities."""

    def __init__(self, probabilities, config=TINY):
        super().__init__()
        self.config = config
        self.logits = torch.nn.Parameter(torch.tensor(probabilities).clamp(min=1e-30).log(), requires_grad=False)
        self.eval()

    def encode_video(self, frames):
        return torch.zeros(1, self.config.segments, 8, self.config.dim)

    def encode_audio(self, mel):
        return torch.zeros(1, self.config.segments, 6, self.config.dim)

    def synchronize(self, video, audio):
        return self.logits[None]


def peaked(best, share, near=0.0):
    """Probabilities with `share` on the class `best`, `near` on each neighbor, the rest spread."""
    beside = [i for i in range(21) if abs(i - best) == 1]
    spread = (1 - share - near * len(beside)) / (20 - len(beside))
    return [share if i == best else near if i in beside else spread for i in range(21)]


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return Synchformer(TINY).eval()


def test_known_answer():
    answer = predict(KnownAnswer(peaked(12, 0.58, 0.1)), FakeClip(offset=0.52))
    assert answer.offset == 0.4
    assert answer.notes == ("a note of the reader",)
    assert answer.confidence == pytest.approx(0.58, abs=1e-6)
    assert answer.near == pytest.approx(0.78, abs=1e-6)
    assert (answer.grid[0], answer.grid[-1]) == (-2.0, 2.0)
    assert answer.applied_offset == 0.52
    assert answer.probabilities == pytest.approx(peaked(12, 0.58, 0.1))
    assert [offset for offset, _ in answer.top(1)] == [0.4]
    assert len(answer.top(5)) == 5


@pytest.mark.parametrize(
    ("probabilities", "sentence"),
    [
        (peaked(12, 0.58, 0.1), "the sound is 0.4 s early (58 % sure)"),
        (peaked(4, 0.9), "the sound is 1.2 s late (90 % sure)"),
        (peaked(20, 0.7), "the sound is 2 s early (70 % sure)"),
        (peaked(10, 0.9), "no offset found at this 0.2 s resolution (90 % sure)"),
        (peaked(12, 0.3, 0.05), "cannot tell: the best guess, 0.4 s early, is only 30 % sure"),
        (peaked(10, 0.2, 0.05), "cannot tell: the best guess, no offset, is only 20 % sure"),
    ],
)
def test_sentences(probabilities, sentence):
    assert predict(KnownAnswer(probabilities), FakeClip()).sentence == sentence


def test_a_crop_that_proves_nothing_says_why(monkeypatch):
    monkeypatch.setattr(FakeClip, "audio", torch.zeros(80_000))
    monkeypatch.setattr(FakeClip, "video", torch.zeros(125, 3, 32, 32, dtype=torch.uint8))
    _, silent, still = predict(KnownAnswer(peaked(12, 0.9)), FakeClip()).notes
    assert "digital silence" in silent
    assert "never changes" in still


def test_neighbors_do_not_wrap_around():
    answer = predict(KnownAnswer([0.3, *[0.0125] * 19, 0.4625]), FakeClip())
    assert answer.near == pytest.approx(0.475, abs=1e-6)
    assert not answer.is_conclusive


def test_words():
    words = [offset_in_words(value) for value in (0.52, -1.2, 2.0, 0.0, -0.04)]
    assert words == ["0.52 s early", "1.2 s late", "2 s early", "no offset", "0.04 s late"]


def test_predict_is_the_model(tiny):
    clip = FakeClip()
    with torch.inference_mode():
        logits = tiny(clip.frames()[None], clip.mel()[None])[0]
    answer = predict(tiny, clip, precision="fp32")
    assert answer.logits == pytest.approx(logits.tolist(), abs=1e-5)
    assert sum(answer.probabilities) == pytest.approx(1)
    assert answer.confidence == max(answer.probabilities)


def test_video_features_are_used_again(tiny, monkeypatch):
    first = encode(tiny, FakeClip())
    whole = predict(tiny, FakeClip(offset=0.4), precision="fp32")
    monkeypatch.setattr(tiny, "encode_video", lambda frames: pytest.fail("the picture was encoded again"))
    second = encode(tiny, FakeClip(offset=0.4), like=first)
    assert second.video_features is first.video_features
    assert second.applied_offset == 0.4
    assert decide(tiny, second).logits == pytest.approx(whole.logits, abs=1e-6)
    assert (second.timing.video, second.timing.audio > 0) == (0.0, True)
    assert second.size == 4 * 14 * (8 + 6) * TINY.dim


def test_bf16_is_close_but_not_equal(tiny):
    full, half = (predict(tiny, FakeClip(), precision=name) for name in ("fp32", "bf16"))
    assert half.logits != full.logits
    assert half.logits == pytest.approx(full.logits, abs=0.1)
    assert predict(tiny, FakeClip()).logits == full.logits  # auto on the CPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_cpu_numbers(tiny):
    on_cpu = predict(tiny, FakeClip(), precision="fp32")
    on_gpu = predict(copy.deepcopy(tiny).cuda(), FakeClip(), precision="fp32")
    assert on_gpu.logits == pytest.approx(on_cpu.logits, abs=1e-3)


def test_unknown_precision(tiny):
    with pytest.raises(ValueError, match="precision must be one of auto, fp32, bf16, not 'fp8'"):
        predict(tiny, FakeClip(), precision="fp8")


def test_other_head():
    config = TINY.with_head("synchronizability")
    model = Synchformer(config).eval()
    with pytest.raises(ValueError, match="needs a model with the offset head"):
        predict(model, FakeClip(config=config))
    with pytest.raises(ValueError, match="needs a model with the synchronizability head"):
        predict_synchronizability(KnownAnswer(peaked(10, 0.9)), FakeClip())


def test_synchronizability():
    config = TINY.with_head("synchronizability")
    answer = predict_synchronizability(KnownAnswer([0.2, 0.8], config), FakeClip(config=config))
    assert answer.probability == pytest.approx(0.8)
    assert answer.sentence == "this model finds something that picture and sound share (80 % sure)"
    assert Synchronizability(0.1, (0.0, 0.0)).sentence == (
        "this model finds nothing that picture and sound share (90 % sure)"
    )


def test_training_mode_and_foreign_clips_are_refused(tiny):
    with pytest.raises(ValueError, match="training mode"):
        predict(Synchformer(TINY).train(), FakeClip())
    with pytest.raises(ValueError, match="image_size 32 is needed, found 96"):
        predict(tiny, FakeClip(config=MINI))


def test_results_are_frozen_and_compare_without_times():
    answer = Prediction((-0.2, 0.0, 0.2), (0.0, 1.0, 0.0), (0.2, 0.6, 0.2), 0.0, 0.6)
    assert answer == replace(answer, timing=Timing(video=1.0))
    assert Timing(decode=0.5, video=1.0, audio=0.25, synchronization=0.25).total == 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.offset = 0.2
