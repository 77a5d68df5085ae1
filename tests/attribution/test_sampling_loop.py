"""Attribution as a whole: planted evidence is found, partial results are kept, and the fast path is exact."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from attribution import Settings, attribute, load_bank, stream
from attribution.__main__ import main
from attribution.estimation.estimators import Tally
from attribution.masking.masks import MaskSource
from attribution.masking.units import make_units
from attribution.proof.captum_methods import METHODS, explain, explain_game
from attribution.sampling_loop import Run
from attribution.scoring.decision import Target, find_target
from attribution.scoring.fast_synchronizer import FastSynchronizer
from attribution.scoring.segment_similarity import segment_similarity
from attribution.settings import CHECK_EVERY
from synchformer.checkpoints.registry import save_model
from synchformer.config import MINI
from synchformer.inference.prediction import Encoding, encode
from synchformer.media.crop import load_clip
from synchformer.modeling.synchformer import Synchformer
from tests.support.flash_click import write_flash_click
from tests.support.models import TINY, tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attribution")
    for name, event in (("clip", 5.0), ("one", 3.0), ("two", 7.0)):
        write_flash_click(folder / f"{name}.mp4", seconds=10, event=event)
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture
def bank(model, folder):
    return load_bank(model, (folder,))


@pytest.fixture(scope="module")
def clip(model, folder):
    return load_clip(folder / "clip.mp4", 2.0, 0.4, config=model.config)


# The fast path


@pytest.mark.parametrize("head", ["offset", "synchronizability"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_fast_logits_are_those_of_the_module(head, depth):
    torch.manual_seed(depth)
    config = replace(TINY, sync_depth=depth).with_head(head)
    module = Synchformer(config).eval().synchronizer
    clip, *others = (
        Encoding(torch.randn(1, config.segments, 8, config.dim), torch.randn(1, config.segments, 6, config.dim))
        for _ in range(4)
    )
    fast = FastSynchronizer(module, clip, others, torch.float32)
    keep = torch.rand(9, fast.length) < 0.5
    choice = torch.randint(0, 3, (9,))
    seen = keep[:, 1 : 1 + config.segments * 8].view(9, config.segments, 8, 1)
    heard = keep[:, 2 + config.segments * 8 :].view(9, config.segments, 6, 1)
    keep[:, 0] = keep[:, 1 + config.segments * 8] = True
    video = torch.where(seen, clip.video_features, torch.cat([others[i].video_features for i in choice]))
    audio = torch.where(heard, clip.audio_features, torch.cat([others[i].audio_features for i in choice]))
    with torch.inference_mode():
        assert torch.allclose(fast(keep, choice), module(video, audio), atol=1e-5)


# Planted evidence


class Planted:
    """A scorer that is right when two units are kept, and mostly wrong otherwise."""

    device = torch.device("cpu")

    def __init__(self, hot, inverted=False):
        self.hot, self.inverted = hot, inverted

    def __call__(self, masks, choice):
        masks = ~masks if self.inverted else masks
        right = masks[:, self.hot].float().mean(1) * 4 - 2
        return torch.stack([right, torch.zeros(len(masks))], dim=1)

    def batch(self):
        return 64


def run_with(scorer):
    units = make_units(TINY, ("video",), 0.1)
    source, tally = MaskSource(len(units), 2, 0.5, True, (0,)), Tally(len(units), True)
    run = Run(units, source, scorer, tally, tally.estimate())
    target, settings = Target((0,), 0.0, "given", 0), Settings(samples=2000, modalities=("video",))
    while run.state == "running":
        run.advance(target, settings)
    return run.curves(settings)[0]


def test_a_planted_unit_is_found():
    curve = run_with(Planted([17]))
    assert curve.estimates.masks == 2000
    for name in ("score", "effect", "margin"):
        measure = curve.measure(name)
        assert int(measure.value.argmax()) == 17
        others = np.delete(measure.high, 17)
        assert measure.low[17] > np.median(others)
    assert curve.peak is curve.units[17]


def test_an_inverted_mask_would_be_noticed():
    curve = run_with(Planted([17], inverted=True))
    assert int(curve.measure("score").value.argmin()) == 17
    assert curve.measure("effect").high[17] < 0


def test_redundant_units_share_the_blame():
    score = run_with(Planted([5, 30])).measure("score")
    assert set(np.argsort(-score.value)[:2]) == {5, 30}
    assert score.high[5] < 1, "neither is necessary"


# Streams and results


def test_results_do_not_depend_on_the_batch(model, clip, bank):
    first, second = (
        attribute(model, clip, bank, Settings(samples=120, batch=batch, precision="fp32")) for batch in (2, 50)
    )
    for one, other in zip(first.curves, second.curves, strict=True):
        assert one.estimates.correct == other.estimates.correct
        assert np.array_equal(one.estimates.score.value, other.estimates.score.value, equal_nan=True)
        assert np.allclose(one.estimates.margin.value, other.estimates.margin.value, atol=1e-4)


def test_a_closed_stream_keeps_what_it_has(model, clip, bank):
    parts = stream(model, clip, bank, Settings(samples=2000))
    first = next(parts)
    second = next(parts)
    parts.close()
    assert (first.masks, second.masks) == (2 * CHECK_EVERY, 4 * CHECK_EVERY)
    assert not second.finished
    assert second.left == 4000 - 4 * CHECK_EVERY
    assert next(parts, None) is None


def test_it_stops_when_every_interval_is_narrow(model, clip, bank):
    found = attribute(model, clip, bank, Settings(samples=20_000, tolerance=0.9, modalities=("audio",)))
    assert found.curve("audio").state == "precise"
    assert found.masks < 20_000
    assert found.left == 0


def test_progress_can_stop_it(model, clip, bank):
    seen = []
    found = attribute(model, clip, bank, Settings(samples=2000), lambda part: seen.append(part.masks) or len(seen) == 2)
    assert seen == [2 * CHECK_EVERY, 4 * CHECK_EVERY]
    assert found.masks == 4 * CHECK_EVERY


def test_both_streams_under_one_mask(model, clip, bank):
    found = attribute(model, clip, bank, Settings(samples=100, together=True))
    assert found.masks == 100
    assert {curve.modality for curve in found.curves} == {"audio", "video"}


def test_at_the_input_the_encoders_see_the_mixture(model, clip, bank):
    settings = Settings(samples=4, level="input", precision="fp32")
    found = attribute(model, clip, bank, settings)
    assert found.masks == 8
    whole = attribute(model, clip, bank, replace(settings, keep=0.999999, modalities=("video",)))
    assert whole.curve("video").estimates.correct == 4, "nothing replaced: the model's own answer"
    tokens = attribute(model, clip, bank, replace(settings, level="token"))
    margins = [each.curve("audio").estimates.margin.value for each in (found, tokens)]
    assert not np.allclose(*margins), "what leaks inside a segment makes a difference"


def test_synchronizability_is_explained_too(folder):
    model = tiny("synchronizability")
    clip = load_clip(folder / "clip.mp4", 2.0, config=model.config)
    found = attribute(model, clip, load_bank(model, (folder,)), Settings(samples=50))
    assert found.target.reference is None
    assert "synchronized" in found.sentence
    assert len(found.curves) == 2


def test_files_hold_what_was_found(model, clip, bank, tmp_path):
    found = attribute(model, clip, bank, Settings(samples=60))
    found.save(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "attribution.json").read_text())
    assert told["offset"] == 0.4
    assert told["settings"]["samples"] == 60
    with (tmp_path / "out" / "attribution.csv").open() as file:
        table = list(csv.DictReader(file))
    values = np.load(tmp_path / "out" / "attribution.npz")
    units = sum(len(curve.units) for curve in found.curves)
    assert len(table) == len(values["score"]) == units == sum(len(curve["units"]) for curve in told["curves"])
    audio = next(row for row in table if row["modality"] == "audio")
    assert float(audio["file_begin"]) == pytest.approx(float(audio["begin"]) + 2.4)


# Targets and distractors


@pytest.mark.parametrize(("rule", "classes"), [("applied", (11, 12, 13)), (-2.0, (0, 1)), ("prediction", (4, 5, 6))])
def test_the_neighbors_of_the_reference_count(rule, classes):
    logits = torch.zeros(21)
    logits[5] = 1
    assert find_target(MINI, logits, 0.4, rule).classes == classes


def test_a_reference_out_of_reach_is_refused():
    with pytest.raises(ValueError, match=r"\+3.00 s is out of the model's reach"):
        find_target(MINI, torch.zeros(21), 0.0, 3.0)


def test_a_clip_never_stands_in_for_itself(model, clip, bank):
    found = attribute(model, clip, bank, Settings(samples=20))
    assert found.distractors
    assert not any("clip.mp4" in name for name in found.distractors)


def test_too_few_distractors(model, folder, tmp_path):
    with pytest.raises(ValueError, match=r"at least 2 crops .* but 0 can be used"):
        load_bank(model, (tmp_path,))
    (tmp_path / "text.mp4").write_text("no video")
    bank = load_bank(model, (tmp_path, folder / "one.mp4"))
    assert "text.mp4 is not a media file" in bank.notes[0]
    with pytest.raises(ValueError, match="but 0 can be used"):
        bank.without(folder / "one.mp4")


def test_features_of_distractors_are_kept_on_disk(model, folder, monkeypatch):
    first = load_bank(model, (folder,))
    monkeypatch.setattr("attribution.masking.distractors.encode", lambda *_, **__: pytest.fail("encoded again"))
    second = load_bank(model, (folder,))
    for one, other in zip(first.distractors, second.distractors, strict=True):
        assert torch.equal(one.encoding.video_features, other.encoding.video_features)


# Other methods


@pytest.mark.parametrize("method", ["occlusion", "kernelshap"])
def test_captum_finds_the_weights_of_a_linear_game(method):
    weights = torch.tensor([3.0, -1.0, 0.0, 2.0])
    values = explain_game(lambda coalitions: coalitions.float() @ weights, 4, method, 300, 0)
    assert values == pytest.approx(weights.numpy(), abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_methods_explain_the_same_units(model, clip, bank, method):
    units = make_units(model.config, ("audio",), 0.5)
    encoding = encode(model, clip)
    others = [each.encoding for each in bank.without(clip.path).distractors][:2]
    target = Target((12,), 0.4, "applied", 12)
    values = explain(model, encoding, others, units, target, method, samples=200)
    assert values.shape == (len(units),)
    assert np.isfinite(values).all()
    assert values.std() > 0


def test_integrated_gradients_add_up_to_the_difference(model, clip, bank):
    """Completeness: over both streams, the values sum to the change of the margin from the distractor to the clip."""
    units = make_units(model.config, ("audio", "video"), 0.1)
    encoding, other = encode(model, clip), bank.without(clip.path).distractors[0].encoding
    target = Target((12,), 0.4, "applied", 12)
    values = explain(model, encoding, [other], units, target, "integrated_gradients", steps=200)
    with torch.inference_mode():
        ends = [
            target.correctness(model.synchronize(e.video_features, e.audio_features))[1].item()
            for e in (encoding, other)
        ]
    assert values.sum() == pytest.approx(ends[0] - ends[1], abs=0.02 * max(1, abs(ends[0] - ends[1])))


def test_similarity_of_segments():
    one = torch.zeros(1, 3, 8, 4)
    one[0, range(3), :, range(3)] = 1.0
    two = torch.zeros(1, 3, 6, 4)
    two[0, range(3), :, [1, 2, 0]] = 2.0
    assert segment_similarity(Encoding(one, two)) == pytest.approx(np.eye(3)[:, [1, 2, 0]], abs=1e-6)


# The command line


def test_command_line(folder, tmp_path, capsys):
    weights = save_model(tiny(), tmp_path / "tiny.safetensors", {})
    arguments = [str(folder / "clip.mp4"), "--model", str(weights), "--start", "2", "--samples", "40"]
    common = [*arguments, "--distractors", str(folder), "--out", str(tmp_path / "out")]
    assert main([*common, "--offset", "0.4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["curves"][0]["modality"] == "audio"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"attribution.{suffix}" for suffix in ("json", "csv", "npz", "png", "svg", "pdf")}
    assert main([*common, "--modality", "smell"]) == 2
    assert main([str(folder / "missing.mp4"), *common[1:]]) == 1
    assert "no file" in capsys.readouterr().err


def test_ctrl_c_writes_the_partial_result(folder, tmp_path, capsys, monkeypatch):
    weights = save_model(tiny(), tmp_path / "tiny.safetensors", {})

    def interrupted(*arguments):
        parts = stream(*arguments)
        yield next(parts)
        raise KeyboardInterrupt

    monkeypatch.setattr("attribution.sampling_loop.stream", interrupted)
    common = [
        "--model",
        str(weights),
        "--distractors",
        str(folder),
        "--out",
        str(tmp_path / "out"),
        "--samples",
        "5000",
    ]
    assert main([str(folder / "clip.mp4"), "--start", "2", *common]) == 130
    assert json.loads((tmp_path / "out" / "attribution.json").read_text())["curves"][0]["masks"] == CHECK_EVERY


# Going on


@pytest.mark.parametrize("together", [False, True])
def test_going_on_draws_the_masks_of_an_uninterrupted_run(model, clip, bank, together):
    settings = Settings(samples=1200, batch=50, precision="fp32", together=together)
    whole = attribute(model, clip, bank, settings)
    parts = stream(model, clip, bank, settings)
    first = next(parts)
    parts.close()
    again = list(stream(model, clip, bank, settings, resume=first))
    assert [part.masks for part in again] == ([1000, 1200] if together else [2000, 2400])
    for one, other in zip(whole.curves, again[-1].curves, strict=True):
        assert one.estimates.correct == other.estimates.correct
        assert np.array_equal(one.estimates.kept, other.estimates.kept)
        assert np.allclose(one.estimates.margin.value, other.estimates.margin.value, atol=1e-9)
        assert np.array_equal(one.estimates.effect.low, other.estimates.effect.low)
    assert again[-1].seconds > first.seconds


def test_a_finished_attribution_goes_on_with_more_masks(model, clip, bank):
    done = attribute(model, clip, bank, Settings(samples=100))
    assert [part.masks for part in stream(model, clip, bank, Settings(samples=100), resume=done)] == [200]
    more = list(stream(model, clip, bank, Settings(samples=300), resume=done))
    assert more[-1].masks == 600
    assert more[-1].finished


def test_what_changed_cannot_go_on(model, clip, bank):
    done = attribute(model, clip, bank, Settings(samples=20))
    with pytest.raises(ValueError, match="cannot go on: settings changed"):
        next(stream(model, clip, bank, Settings(samples=40, keep=0.6), resume=done))
    with pytest.raises(ValueError, match="cannot go on: offset changed"):
        next(stream(model, replace(clip, offset=0.2), bank, Settings(samples=40), resume=done))
    with pytest.raises(ValueError, match="its counts"):
        next(stream(model, clip, bank, Settings(samples=40), resume=replace(done, sums=())))


def test_slow_masks_are_reported_in_between(model, clip, bank):
    settings = Settings(samples=50, batch=10, modalities=("audio",))
    assert [part.masks for part in stream(model, clip, bank, settings, every=0.0)] == [10, 20, 30, 40, 50]
