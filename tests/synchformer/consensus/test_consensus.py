"""The tested answer: counts worked out by hand and by all permutations, no offset favored, doubt where answers fail."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from synchformer.checkpoints.experience import experience
from synchformer.consensus import ask_tested, constants
from synchformer.consensus.answers import shifts_within, starts_around, usual_shifts
from synchformer.consensus.batch import COLUMNS, predict_folder
from synchformer.consensus.consensus import consensus_of, weigh
from synchformer.consensus.constants import Statement, statement_as_dict, statement_from
from synchformer.consensus.features import NAMES, candidates, evidence_of
from synchformer.consensus.support import likelihood_of, support_of
from synchformer.copies.remux import write_shifted
from synchformer.inference.prediction import Synchronizability
from synchformer.inference.sliding_windows import Window
from synchformer.media.probe import MediaError, probe
from tests.support.flash_click import write_flash_click
from tests.support.page import TINY, FlashAndClick
from tests.support.predictions import some_consensus, window

GRID = TINY.grid
SURE = Statement(NAMES, (0.0,) * len(NAMES), (1.0,) * len(NAMES), (0.0,) * len(NAMES), 9.0, 0.0, 0.2, "nothing")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("clips") / "a.mp4", seconds=10, event=5.0, noise=0.01)


def test_counts_by_hand():
    """Three shifts a class and more apart whose answers follow them: only the right one supports each shift's total."""
    grid = (-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6)
    found = support_of([window([-0.4, 0.0, 0.4], [-0.4, 0.0, 0.4], grid)], grid, np.array([0.0, 0.4]))
    assert found.supported == pytest.approx([3, 0])
    assert found.answerable == pytest.approx([3, 2])  # 0.4 + 0.4 s lies beyond the classes
    assert found.share == pytest.approx([1, 0])
    assert found.mean == pytest.approx([1, 2 / 3])  # one of three answers fits each total
    assert found.variance[0] == pytest.approx(1)  # fixed points of a random permutation


@pytest.mark.parametrize("count", [support_of, likelihood_of])
def test_mean_and_variance_are_those_of_all_permutations(count):
    rng = np.random.default_rng(0)
    shifts = np.array([-1.0, -0.2, 0.24, 0.9, 1.6])
    one = Window(0.0, 5.0, shifts, rng.dirichlet(np.ones(21), len(shifts)))
    offsets = np.array([-1.5, -0.3, 0.0, 0.7])
    sums = np.array(
        [
            count([replace(one, probabilities=one.probabilities[list(order)])], GRID, offsets).supported
            for order in itertools.permutations(range(len(shifts)))
        ]
    )
    found = count([one], GRID, offsets)
    assert found.mean == pytest.approx(sums.mean(0))
    assert found.variance == pytest.approx(sums.var(0))
    both = count([one, one], GRID, offsets)
    assert both.variance == pytest.approx(2 * found.variance)


@pytest.mark.parametrize("answers", [lambda s, rng: s, lambda s, rng: np.clip(s + 1, -2, 2),
                                     lambda s, rng: rng.normal(0, 0.5, len(s))])  # fmt: skip
def test_permuted_answers_favor_no_offset(answers):
    rng, shifts = np.random.default_rng(1), np.array(shifts_within(2.0))
    offsets, best = candidates(GRID), []
    for _ in range(820):
        found = support_of([window(shifts, rng.permutation(answers(shifts, rng)))], GRID, offsets)
        best.append(found.best)
    fifths = np.histogram(best, bins=[0, 8, 16, 25, 33, 41])[0] / np.array([8, 8, 9, 8, 8])
    assert fifths == pytest.approx([20] * 5, abs=5)  # 820 draws among 41 offsets: 20 each


@pytest.mark.parametrize("truth", [-1.7, -0.6, 0.0, 0.3, 1.9])
def test_answers_that_follow_give_the_offset(truth):
    shifts = np.array(shifts_within(2.0))
    found = evidence_of([window(shifts, np.clip(truth + shifts, -2, 2))], GRID)
    assert found.offset == pytest.approx(truth, abs=0.11)
    assert found.supported == found.answerable == np.sum(np.abs(found.offset + shifts) <= 2 + 1e-6)
    assert weigh(found, GRID, SURE).stated


@pytest.mark.parametrize("always", [0.0, 0.4, -2.0])
def test_a_model_that_always_answers_the_same_is_never_believed(always):
    shifts = np.array(shifts_within(2.0))
    one = window(shifts, np.full(len(shifts), always))
    assert support_of([one], GRID, candidates(GRID)).z == pytest.approx(0, abs=1e-6)
    for statement in (None, SURE):
        assert not weigh(evidence_of([one], GRID), GRID, statement).stated


def test_starts_that_contradict_each_other_are_said():
    shifts = np.array(shifts_within(2.0))
    windows = [window(shifts, np.clip(offset + shifts, -2, 2)) for offset in (-1.2, 0.0, 1.2)]
    found = weigh(evidence_of(windows, GRID), GRID, SURE)
    assert (found.starts, found.agreeing, found.stated) == (3, 1, False)
    assert "the 3 parts of the clip that were measured contradict each other" in found.sentence


@pytest.mark.parametrize("offset", [-1.0, 0.0, 0.52])
def test_planted_offsets_are_found_in_files(clip, tmp_path, offset):
    moved = write_shifted(clip, offset, tmp_path / "moved.mp4")
    found = ask_tested(FlashAndClick(), moved, 2.0)
    assert found.consensus.stated
    assert found.consensus.offset == pytest.approx(offset, abs=0.11)
    assert len(found.starts) == 3
    assert found.consensus.starts == 2  # nothing moves at the third: the flash is over
    assert found.single.applied_offset == 0.0


def test_the_picture_is_encoded_once_for_every_start(clip):
    model = FlashAndClick()
    found = ask_tested(model, clip, 2.0)
    assert model.videos_encoded == 3
    assert found.consensus.places > 60


def test_a_clip_without_room_is_not_stated_and_says_why(tmp_path):
    short = write_flash_click(tmp_path / "short.mp4", seconds=5, event=2.0, noise=0.01)
    found = ask_tested(FlashAndClick(), short).consensus
    assert (found.offset, found.stated) == (None, False)
    assert found.sentence.startswith("cannot tell: the answer could not be tested")


def test_silence_is_named(tmp_path):
    with pytest.raises(MediaError, match="start 9"):
        ask_tested(FlashAndClick(), write_flash_click(tmp_path / "a.mp4"), 9.0)
    silent = consensus_of(FlashAndClick(), [], ("Nothing can be heard in these 5 s: the sound is silence. Choose.",))
    assert silent.sentence == "cannot tell: nothing can be heard in these 5 s: the sound is silence"


def test_sentences_blame_the_model_and_not_the_clip():
    said = "the sound is 0.4 s early (91 % sure to within a class; the answer followed the sound in 70 of 81 places)"
    assert some_consensus().sentence == said
    unsure = some_consensus(stated=False, supported=14, answerable=101)
    assert unsure.sentence == (
        "cannot tell: the answer followed the sound in 14 of 101 places; this model does not understand this clip"
    )
    assert some_consensus(offset=-0.1).sentence.startswith("no offset found at this 0.2 s resolution (91 % sure")
    assert "12 clips" in some_consensus().note
    assert "at least 80 %" in some_consensus().note
    assert "nothing was measured" in some_consensus(measured="").note
    assert Synchronizability(0.03, (0.0, 0.0)).sentence == (
        "this model finds nothing that picture and sound share (97 % sure)"
    )
    unsure = Synchronizability(0.3, (0.0, 0.0), doubt=0.05)
    assert unsure.sentence == "this model is not sure whether picture and sound share anything (30 %)"


def test_json_gives_no_offset_that_is_not_stated():
    values = json.loads(json.dumps(some_consensus(stated=False).as_dict()))
    assert (values["stated"], values["stated_offset"], values["supported_offset"]) == (False, None, 0.4)
    assert (values["supported"], values["answerable"], values["probability_right"]) == (70, 81, 0.914)
    assert some_consensus().as_dict()["stated_offset"] == 0.4


def test_a_table_has_the_tested_answer_beside_the_single_one(clip, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    good, bad = predict_folder(FlashAndClick(), [clip, tmp_path / "text.mp4"], start=2.0, workers=1)
    assert (good.status, good.stated, good.single_offset) == ("ok", True, 0.0)
    assert abs(good.stated_offset) <= 0.1
    assert good.supported <= good.answerable
    assert (bad.status, bad.stated, bad.stated_offset) == ("failed", None, None)
    assert set(COLUMNS) == set(vars(good))


def test_starts_lie_apart_and_inside(clip):
    info = probe(clip)
    assert starts_around(info, TINY, 0.0) == pytest.approx((0.0, 2.48, 4.96), abs=0.05)
    assert starts_around(info, TINY, 2.0)[0] == 2.0
    for start in (0.0, 1.3, 4.9):
        places = starts_around(info, TINY, start)
        assert all(abs(one - other) >= 1 for one, other in itertools.combinations(places, 2))
        assert all(0 <= place <= 5.01 for place in places)


def test_a_slow_model_is_asked_at_the_classes_only(monkeypatch):
    monkeypatch.setattr("synchformer.consensus.answers.MAX_QUICK", 0)
    assert usual_shifts(FlashAndClick()) == GRID


def test_constants_are_those_of_the_weights(tmp_path, monkeypatch):
    model = FlashAndClick()
    assert constants.statement_of(model) is None
    kept = {constants.fingerprint(model): {"statement": statement_as_dict(SURE), "doubt": 0.01}}
    monkeypatch.setattr(constants, "known_constants", lambda: json.loads(json.dumps(kept)))
    assert constants.statement_of(model) == SURE == statement_from(statement_as_dict(SURE))
    assert constants.doubt_of(model) == 0.01
    assert SURE.probability(np.zeros(len(NAMES))) == pytest.approx(1 / (1 + np.exp(-9)))


def test_what_a_model_has_seen(tmp_path):
    assert "generated clips" in experience("mini")
    assert experience("audioset") == "audioset was trained on AudioSet."
    assert "does not say" in experience(tmp_path / "own.safetensors")
