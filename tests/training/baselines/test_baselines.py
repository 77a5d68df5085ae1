"""Table 4's extractors and table 1's baselines: against torchvision, by hand, and through every command."""

import json
import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.models import resnet18
from torchvision.models.video import s3d

from synchformer.checkpoints.registry import load_model
from synchformer.checkpoints.safe_tensors import CheckpointError
from synchformer.config import BASE, MINI
from synchformer.modeling.resnet import ResNet18
from synchformer.modeling.s3d import S3D, S3DMaps
from synchformer.modeling.synchformer import Synchformer
from synthetic.recipe import Recipe
from training import compare, evaluate, run
from training.baselines.model import Baseline, baseline_config, load_any, whole_clip
from training.baselines.modules import SELECTORS
from training.config.ablations import ablate
from training.config.model_size import parameter_count
from training.config.names import BASELINE_KINDS
from training.datasets.generated import GeneratedSource
from training.initialization.pretrained import load_audio, load_video
from training.readers.rendered import RenderedClips
from training.sampling.event_targets import audio_width, token_targets, video_centers, video_width
from training.stages.baseline import baseline_task
from training.trainer.checkpoint import load_state
from training.trainer.run_log import LOG, read_log

TINY = replace(
    MINI, name="tiny", dim=16, heads=2, video_depth=1, audio_depth=1, sync_dim=16, sync_heads=2, sync_depth=1,
    image_size=32, short_side=36,
)  # fmt: skip
SHORT = replace(TINY, segments=4, crop_frames=40, max_offset=0.8, offset_classes=5)


# Networks


def test_resnet_is_torchvisions_at_its_width():
    theirs, ours = resnet18().eval(), ResNet18().eval()
    theirs.conv1 = torch.nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    theirs.fc = torch.nn.Identity()
    ours.load_state_dict(theirs.state_dict())
    mel = torch.randn(1, 1, 40, 66)
    with torch.inference_mode():
        assert torch.allclose(ours(mel).mean((2, 3)), theirs(mel), atol=1e-5)


def test_s3d_is_torchvisions_at_its_width():
    theirs, ours = s3d().eval(), S3D().eval()
    ours.load_state_dict({n: v for n, v in theirs.state_dict().items() if not n.startswith("classifier")})
    frames = torch.randn(1, 3, 16, 64, 64)
    with torch.inference_mode():
        found = ours(frames.permute(0, 2, 3, 4, 1)).permute(0, 4, 1, 2, 3)
        assert torch.allclose(found, theirs.features(frames), atol=1e-5)


def test_s3d_learns_as_in_three_dimensions():
    """Gradients and running statistics are those of the modules' own 3D operations, called one after the other."""
    torch.manual_seed(0)
    ours = S3D(0.225).double()
    theirs = deepcopy(ours.features)
    frames = torch.randn(2, 17, 70, 66, 3, dtype=torch.float64)
    found = ours(frames)
    expected = theirs(frames.permute(0, 4, 1, 2, 3))
    assert torch.allclose(found.permute(0, 4, 1, 2, 3), expected, atol=1e-10)
    weight = torch.randn_like(expected)
    (expected * weight).sum().backward()
    (found.permute(0, 4, 1, 2, 3) * weight).sum().backward()
    for (name, one), other in zip(theirs.named_parameters(), ours.features.parameters(), strict=True):
        assert (one.grad - other.grad).norm() <= 1e-9 * one.grad.norm(), name
    for (name, one), other in zip(theirs.named_buffers(), ours.features.buffers(), strict=True):
        assert torch.allclose(one, other, atol=1e-12), name


def test_s3d_learns_in_bfloat16_on_a_cpu():
    """Its temporal filters' gradients are garbage there in three dimensions, 1e34 and NaN."""
    torch.manual_seed(0)
    maps = S3DMaps(replace(MINI, extractors="resnet-s3d", extractor_width=0.225)).eval()
    frames, found = torch.rand(4, 16, 3, 96, 96) * 2 - 1, []
    for on in (False, True):
        maps.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=on):
            maps(frames).float().square().sum().backward()
        found.append(torch.cat([value.grad.flatten() for value in maps.parameters()]))
    assert torch.cosine_similarity(*found, dim=0) > 0.99
    assert 0.95 < found[1].norm() / found[0].norm() < 1.05


def test_centers_follow_from_kernels_strides_and_paddings():
    """The middle of what a feature sees, folded through the layers along the axis of time."""

    def middle(layers):
        start, jump = 0.0, 1
        for kernel, stride, padding in layers:
            start += ((kernel - 1) / 2 - padding) * jump
            jump *= stride
        return start, jump

    halving = (3, 2, 1)
    config = replace(MINI, extractors="resnet-s3d")
    start, jump = middle([(7, 2, 3), halving, halving, halving, halving])
    columns = [start + jump * index for index in range(3)]
    assert config.audio_centers == pytest.approx([column * 0.01 for column in columns])
    start, jump = middle([(7, 2, 3), halving, (2, 2, 0)])
    frames = [start + jump * index + 0.5 for index in range(2)]  # a frame is shown for its whole length
    assert config.video_centers == pytest.approx([frame / 25 for frame in frames])


def test_targets_reach_from_one_token_to_the_next():
    """Whenever an event happens, the tokens' targets of its kind add up to one."""
    from synthetic import Event

    config = replace(MINI, extractors="resnet-s3d")
    event = Event(0.22, "clap", True, True, 0.0, 0.0, 1.0)
    targets = token_targets([event], 0.0, video_centers(config), video_width(config))
    assert targets[:, -1].sum() == pytest.approx(1)
    assert (video_width(config), audio_width(config)) == (pytest.approx(0.32), pytest.approx(0.32))
    assert (video_width(MINI), audio_width(MINI)) == (0.08, 0.1)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"segment_frames": 4, "segment_stride": 2}, "frames that S3D needs"),
        ({"image_size": 16}, "pixels that S3D needs"),
        ({"extractor_width": 0.0}, "extractor_width must be above 0"),
        ({"extractors": "vgg"}, "'transformers' or 'resnet-s3d', not 'vgg'"),
    ],
)
def test_sizes_that_do_not_fit_are_sentences(changes, found):
    with pytest.raises(ValueError, match=found):
        replace(MINI, **{"extractors": "resnet-s3d", **changes})


def test_clips_rendered_for_one_kind_of_extractors_serve_the_other():
    assert repr(MINI) == repr(ablate(MINI, ["resnet-s3d"])[0])


def test_pretrained_networks(tmp_path):
    """torchvision's files by their own names; one of another width is refused."""
    config = replace(TINY, extractors="resnet-s3d")
    torch.manual_seed(1)
    trunks = {"video": S3D(), "audio": ResNet18()}
    for name, trunk in trunks.items():
        torch.save({**trunk.state_dict(), "fc.weight": torch.zeros(3, 3)}, tmp_path / f"{name}.pth")
    model = Synchformer(config)
    for load, encoder, name in (
        (load_video, model.video_encoder, "video"), (load_audio, model.audio_encoder, "audio"),
    ):  # fmt: skip
        assert load(tmp_path / f"{name}.pth", encoder) == []
        state = trunks[name].state_dict()
        assert all(torch.equal(value, state[n]) for n, value in encoder.maps.trunk.state_dict().items())
    narrow = Synchformer(replace(config, extractor_width=0.1))
    with pytest.raises(CheckpointError, match="in this width"):
        load_video(tmp_path / "video.pth", narrow.video_encoder)
    with pytest.raises(CheckpointError, match="no file"):
        load_audio(tmp_path / "none.pth", narrow.audio_encoder)


# Sizes


def size_of_mini():
    return parameter_count(lambda: Synchformer(MINI))


@pytest.mark.parametrize("kind", BASELINE_KINDS)
def test_a_baseline_is_as_large_as_mini(kind):
    config = baseline_config(kind, MINI)
    assert parameter_count(lambda: Baseline(config, kind)) == pytest.approx(size_of_mini(), rel=0.02)
    assert (config.span_frames, config.crop_frames, config.segments) == (120, 125, 1), "the same crop"


def test_other_extractors_keep_the_size_of_mini():
    config, _ = ablate(MINI, ["resnet-s3d"])
    assert parameter_count(lambda: Synchformer(config)) == pytest.approx(size_of_mini(), rel=0.02)


@pytest.mark.parametrize(("kind", "millions"), [("avst", 32.3), ("sparsesync", 55.3)])
def test_published_sizes_are_those_of_table_1(kind, millions):
    config = baseline_config(kind, BASE)
    assert config.extractor_width == 1
    assert parameter_count(lambda: Baseline(config, kind)) / 1e6 == pytest.approx(millions, rel=0.02)
    assert ablate(BASE, ["resnet-s3d"])[0].extractor_width == 1


# The models


@pytest.mark.parametrize("kind", BASELINE_KINDS)
def test_shapes_and_gradients(kind):
    torch.manual_seed(0)
    config = baseline_config(kind, TINY)
    model = Baseline(config, kind)
    frames = torch.randn(2, 1, 120, 3, 32, 32)
    mel = torch.randn(2, 1, 128, config.mel_frames)
    video, audio = model.encode_video(frames), model.encode_audio(mel)
    assert video.shape == (2, 1, 15, 1, 1, config.dim)
    assert audio.shape == (2, 1, 16, 4, config.dim)
    if kind == "sparsesync":
        assert model.synchronizer.video_selectors(torch.randn(2, 15, config.dim)).shape == (2, SELECTORS, config.dim)
    logits = model.synchronize(video, audio)
    assert logits.shape == (2, 21)
    logits[:, 3].sum().backward()
    lacking = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not lacking
    assert model.video_encoder.trunk.features[0][0][0].weight.grad.abs().sum() > 0
    assert model.audio_encoder.trunk.conv1.weight.grad.abs().sum() > 0


def test_the_order_of_moments_matters():
    """A baseline that lost its clock would call every offset the same."""
    torch.manual_seed(0)
    model = Baseline(baseline_config("avst", TINY), "avst").eval()
    video, audio = torch.randn(1, 1, 15, 1, 1, model.config.dim), torch.randn(1, 1, 16, 4, model.config.dim)
    with torch.inference_mode():
        same, later = model.synchronize(video, audio), model.synchronize(video, audio.roll(1, dims=2))
    assert (same - later).abs().max() > 0.01


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return RenderedClips(tmp_path_factory.mktemp("clips"), Recipe(seed=0, count=2), SHORT, workers=0)


@pytest.mark.parametrize("kind", BASELINE_KINDS)
def test_learns_eight_crops_by_heart(pool, kind):
    torch.manual_seed(0)
    task = baseline_task(SHORT, kind, (pool, pool), batch=8)
    batch = task.batch(np.random.Generator(np.random.PCG64(0)))
    assert batch["frames"].shape == (8, 1, 40, 3, 32, 32)
    optimizer = torch.optim.Adam(task.module.parameters(), 3e-3)
    entropies = []
    for _ in range(25):
        figures = task.module(batch)
        optimizer.zero_grad()
        figures["loss"].backward()
        optimizer.step()
        entropies.append(figures["cross_entropy"].item())
    assert entropies[0] == pytest.approx(math.log(5), abs=1.0)
    assert min(entropies[-5:]) < 0.5


def test_the_whole_clip_is_one_segment():
    config = whole_clip(MINI)
    assert config.span_frames == MINI.span_frames
    assert config.segment_starts[0] == MINI.segment_starts[0]
    assert config.segment_samples // config.hop_length + 1 == config.mel_frames - 1 == 481


# Commands


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two folders with an exported and evaluated model each: table 4's Synchformer, and a baseline."""
    folder = tmp_path_factory.mktemp("runs")
    sizes = ["--count", "2", "--held-out", "1", "--workers", "0", "--steps", "2", "--batch", "2"]
    sizes += ["--log-every", "1", "--precision", "fp32"]
    crops = ["--valid-crops", "4"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(run.PRESETS, "mini", TINY)
        ours, theirs = folder / "ours", folder / "sparsesync"
        for stage in ("unimodal", "avclip", "sync"):
            more = sizes if stage == "unimodal" else sizes + crops
            assert run.main([stage, "--out", str(ours), "--ablation", "resnet-s3d", *more]) == 0
        to = ["--to", str(ours / "model.safetensors")]
        assert run.main(["export", "--out", str(ours), "--ablation", "resnet-s3d", *to]) == 0
        (folder / "sparsesync").mkdir()
        (theirs / "clips").symlink_to(ours / "clips")
        for stage in ("unimodal", "baseline"):
            more = sizes if stage == "unimodal" else sizes + crops
            assert run.main([stage, "--out", str(theirs), "--model", "sparsesync", *more]) == 0
        to = ["--to", str(theirs / "model.safetensors")]
        assert run.main(["export", "--out", str(theirs), "--of", "baseline", *to]) == 0
    source = GeneratedSource(train=0, valid=0, test=1)
    for out in (ours, theirs):
        model = load_any(out / "model.safetensors", "cpu")
        evaluate.evaluate(model, out.name, source, "test", None, 1, workers=0).write(out / "evaluation.json")
    return ours, theirs


def test_exported_baseline_is_what_was_trained(runs):
    model = load_any(runs[1] / "model.safetensors", "cpu")
    assert (model.kind, model.training) == ("sparsesync", False)
    trained = load_state(runs[1] / "baseline" / "best.pt")["model"]
    for name in ("synchronizer.head.weight", "extractors.video_encoder.trunk.features.0.0.0.weight"):
        own = model.state_dict()[name.removeprefix("extractors.")]
        assert torch.allclose(own, trained[name], atol=2e-3)
    assert isinstance(load_any(runs[0] / "model.safetensors", "cpu"), Synchformer)
    with pytest.raises(CheckpointError, match=r"holds a baseline \(sparsesync\)"):
        load_model(runs[1] / "model.safetensors", "cpu")


def test_baseline_goes_on_from_its_own_unimodal_start(runs):
    start = load_state(runs[1] / "unimodal" / "best.pt")["model"]
    pools = (None, None)
    task = baseline_task(TINY, "sparsesync", pools, 1, start)
    weight = task.module.extractors.video_encoder.bridge.weight
    assert torch.equal(weight, start["video_encoder.maps.bridge.weight"])
    with pytest.raises(ValueError, match="is not avst's"):
        baseline_task(TINY, "avst", pools, 1, start)


def test_comparison(runs, tmp_path, capsys):
    assert compare.main([*map(str, runs), "--out", str(tmp_path / "comparison")]) == 0
    found = json.loads((tmp_path / "comparison.json").read_text())
    ours, theirs = found["entries"]
    assert ours["model"] == "Synchformer (resnet-s3d)"
    assert theirs["model"] == "sparsesync"
    steps = load_state(runs[1] / "baseline" / "state.pt")["step"]
    assert (theirs["crops"], theirs["clips"], theirs["evaluated"]) == (2 * steps, 2, 1)
    unimodal = load_state(runs[1] / "unimodal" / "state.pt")["step"]
    assert theirs["hours"] == pytest.approx((2 * steps * 4.8 + 2 * unimodal * 0.64) / 3600)
    assert theirs["cpu_seconds"] > 0
    stages = [[row for row in read_log(runs[1] / stage / LOG) if "loss" in row] for stage in ("unimodal", "baseline")]
    assert theirs["cpu_minutes"] == pytest.approx(sum(row["cpu_seconds"] for rows in stages for row in rows) / 60)
    report = json.loads((runs[1] / "evaluation.json").read_text())
    assert theirs["acc1"] == next(row["acc1"] for row in report["summary"] if row["clips"] == "all clips")
    told = (tmp_path / "comparison.md").read_text()
    assert told.strip() in capsys.readouterr().out
    assert "4.8 %" in told, "chance"
    assert len((tmp_path / "comparison.csv").read_text().splitlines()) == 3
    assert (tmp_path / "comparison.png").stat().st_size > 10_000
    rows = [row for row in read_log(runs[1] / "baseline" / LOG) if "valid/acc1_tol1" in row]
    assert found["courses"][1] == [[2 * row["step"], row["valid/acc1_tol1"]] for row in rows]


def test_comparison_says_what_is_not_equal(runs):
    entry = compare.compare(runs[1:]).entries[0]
    others = compare.Comparison((entry, replace(entry, crops=2 * entry.crops)), "", 21)
    assert others.differences == ["Not equal: crops seen differ by a factor of 2.00."]
    assert "equal to within 5 %" in compare.Comparison((entry, entry), "", 21).differences[0]


def test_runs_that_cannot_be_compared_are_sentences(runs, tmp_path, capsys):
    assert compare.main([str(tmp_path)]) == 1
    assert "training.evaluate --out" in capsys.readouterr().err
    other = tmp_path / "other"
    other.mkdir()
    report = json.loads((runs[1] / "evaluation.json").read_text())
    report["setting"]["seed"] = 9
    (other / "evaluation.json").write_text(json.dumps(report))
    assert compare.main([str(runs[0]), str(other)]) == 1
    assert "differs from" in capsys.readouterr().err
    assert compare.main([str(other)]) == 1
    assert "neither the stage sync nor baseline" in capsys.readouterr().err
    assert compare.main([str(runs[0]), "--group", "tall clips"]) == 1
    assert "no row 'tall clips'" in capsys.readouterr().err


def test_wrong_baseline_commands_are_sentences(tmp_path, capsys):
    assert run.main(["baseline", "--out", str(tmp_path)]) == 1
    assert "needs --model, one of avst, sparsesync" in capsys.readouterr().err
    both = ["--model", "avst", "--init", "mini", "--count", "1", "--workers", "0"]
    assert run.main(["unimodal", "--out", str(tmp_path), *both]) == 1
    assert "leave out --model or --init" in capsys.readouterr().err
    to = ["--to", str(tmp_path / "x.safetensors")]
    assert run.main(["export", "--out", str(tmp_path), "--of", "baseline", *to]) == 1
    assert "run the stage baseline" in capsys.readouterr().err
