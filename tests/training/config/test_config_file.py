"""Settings as YAML: read, refused where they are wrong, written beside the state, and read again."""

import shlex
from dataclasses import asdict

import pytest
import yaml

from synchformer.config import BASE, MINI
from tests.support.paths import ROOT
from tests.support.runs import TINY
from training import run
from training.config.config_file import CONFIG, CONFIGS, RECIPES, read_config, write_config
from training.config.names import STAGES


def asked(command):
    return run.stage_config(run._parser().parse_args(shlex.split(command)))


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "settings.yaml"
        path.write_text(text)
        return path

    return write


def test_the_projects_files_are_found():
    assert CONFIGS == ROOT / "configs"
    assert {path.name for path in RECIPES.values()} < {path.name for path in CONFIGS.glob("*.yaml")}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_projects_files_ask_for_what_can_be_done(path):
    for stage in STAGES:
        if stage in yaml.safe_load(path.read_text()):
            model = "--model avst" if stage == "baseline" else ""
            assert asked(f"{stage} --out runs --config {path} {model}").stage == stage


def test_the_published_recipe():
    sync, baseline = (asked(f"{stage} --out runs --recipe paper") for stage in ("sync", "baseline --model avst"))
    assert (sync.options.lr, sync.options.eps, sync.options.epochs, sync.augment) == (2e-6, 1e-7, 1000, "published")
    assert (baseline.options.lr, baseline.options.eps, baseline.options.epochs) == (5e-6, 1e-7, 10_000)
    assert asked("sync --out runs").augment == "light"
    published = asked(f"sync --out runs --config {CONFIGS / 'vggsound.yaml'}")
    assert published.config == BASE
    assert not published.cache
    assert published.options.loaders == 8
    assert published.options.lr == 2e-6


def test_the_command_line_goes_before_the_file_and_the_file_before_the_recipe(file):
    path = file(
        "batch: 8\nviews: 3\nheld-out: 7\nsync: {lr: 1e-3, count: 5, batch: 16, unchecked: true}\navclip: {lr: 2}"
    )
    request = asked(f"sync --out runs --config {path} --count 6 --no-unchecked")
    assert (request.options.lr, request.options.batch, request.options.steps) == (1e-3, 16, 2500)
    assert (request.count, request.held_out, request.views, request.unchecked) == (6, 7, 3, False)
    other = asked(f"avclip --out runs --config {path}")
    assert (other.options.lr, other.options.batch, other.views) == (2.0, 8, 1), "views are not of this stage"


def test_sizes_of_a_file(file):
    path = file("preset: mini\nsizes: {sync_depth: 6}")
    request = asked(f"sync --out runs --config {path}")
    assert (request.config.sync_depth, request.config.dim) == (6, MINI.dim)
    assert asked(f"sync --out runs --config {path} --preset base").config == BASE
    assert run.main(["sync", "--out", "runs", "--config", str(path), "--ablation", "no-overlap"]) == 1


def test_ablations_of_a_file_change_what_the_stage_knows(file):
    path = file("ablation: [no-stage-1, no-overlap]")
    sync, avclip = (asked(f"{stage} --out runs --config {path}") for stage in ("sync", "avclip"))
    assert (sync.stage_one, sync.trained_extractors, sync.config.segments) == (False, True, 7)
    assert (avclip.stage_one, avclip.trained_extractors, avclip.config.segments) == (True, False, 7)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sync: {step: 5}", "sync: step is no setting; the nearest known one is steps"),
        ("batches: 5", "batches is no setting; the nearest known one is batch"),
        ("snyc: {steps: 5}", "snyc is no setting; the nearest known one is sync"),
        ("size: {dim: 5}", "size is no setting; the nearest known one is sizes"),
        ("avclip: {no_cache: true}", "no_cache is no setting; the nearest known one is cache"),
        ("sync: {sizes: {depth_sync: 5}}", "sync: sizes: depth_sync is no size; the nearest known one is sync_depth"),
        ("avclip: {views: 5}", "views is a setting of sync and synchronizability, not of avclip"),
        ("sync: {steps: many}", "sync: steps must be a whole number, not 'many'"),
        ("sync: {steps: 1.5}", "sync: steps must be a whole number, not 1.5"),
        ("sync: {lr: fast}", "sync: lr must be a number, not 'fast'"),
        ("sync: {cache: 1}", "sync: cache must be true or false, not 1"),
        ("sync: {init: 5}", "sync: init must be a text, not 5"),
        ("without: clap", "without must be a list, not 'clap'"),
        ("without: [whistle]", "without must be one of bounce, strike,"),
        ("preset: large", "preset must be one of base, mini, small, not large"),
        ("recipe: fast", "recipe must be one of here, paper, not fast"),
        ("ablation: [no-sound]", "ablation must be one of segment-0.08"),
        ("sync: 5", "sync must be a section of settings, not 5"),
        ("- sync", "holds no settings"),
        ("sync: [", "cannot be read"),
        ("sync: {steps: 0}", "--steps must be at least 1, not 0"),
        ("sync: {resident: true}", "--resident keeps frames, and cached features are read instead"),
    ],
)
def test_wrong_files_are_sentences(file, tmp_path, capsys, text, sentence):
    path = file(text)
    assert run.main(["sync", "--out", str(tmp_path / "run"), "--config", str(path)]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there_is_a_sentence(tmp_path, capsys):
    assert run.main(["sync", "--out", str(tmp_path / "run"), "--config", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "unimodal --out runs --without clap snap --resident --init mini --images-every 3",
        "avclip --out runs --data vggsound:prepared --annotations lists --recipe paper --audio-init hub",
        "sync --out runs --ablation no-stage-1 --ablation segment-1.28 --lr 1.23e-7 --count 5",
        "sync --out runs --views 4 --replace 0.6 --no-unimodal --device cuda:1",
        "synchronizability --out runs --labels published --published-positions --no-cache --sounds 1",
        "baseline --out runs --model sparsesync --sounds 5 --recipe paper --preset base",
    ],
)
def test_what_was_asked_for_is_written_and_asked_for_again(tmp_path, command):
    request = asked(command)
    write_config(request, tmp_path / CONFIG)
    again = asked(f"{request.stage} --out runs --config {tmp_path / CONFIG}")
    assert again == request
    assert asdict(again) == asdict(request)


def test_a_run_writes_its_settings_beside_its_state(tmp_path, monkeypatch):
    """The file repeats the run, to the same bits, and tells the export which sizes were trained."""
    import torch

    from synchformer.checkpoints.registry import load_avclip
    from training.trainer.checkpoint import load_state

    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    own = tmp_path / "own.yaml"
    own.write_text("sizes: {sync_depth: 1, dim: 24}\ncount: 2\nheld_out: 1\nworkers: 0\navclip: {steps: 2, batch: 1}")
    command = ["avclip", "--valid-crops", "1", "--device", "cpu"]
    assert run.main([*command, "--out", str(tmp_path / "one"), "--config", str(own), "--seed", "5"]) == 0
    written = tmp_path / "one" / "avclip" / CONFIG
    assert read_config(written, "avclip")["seed"] == 5
    assert run.main(["avclip", "--out", str(tmp_path / "two"), "--config", str(written)]) == 0
    one, two = (load_state(tmp_path / name / "avclip" / "state.pt")["model"] for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    target = tmp_path / "stage1.safetensors"
    assert run.main(["export", "--out", str(tmp_path / "one"), "--of", "avclip", "--to", str(target)]) == 0
    assert load_avclip(target, "cpu").config.dim == 24
