"""What does not go together is refused before any data are touched."""

from dataclasses import fields

import pytest

from synchformer.config import MINI
from tests.support.runs import TINY
from training import run
from training.config.fields import option, settings_of
from training.config.names import STAGES
from training.config.optimization import OptimConfig
from training.config.stage_config import StageConfig
from training.readers import feature_cache, rendered, source_data

FILES = ["--data", "folder:nowhere"]
PIXELS = ["--no-cache"]
REFUSED = [
    # The stage and its data
    ("unimodal", FILES, "--data folder:nowhere: the unimodal stage needs to be told what happens when"),
    ("avclip", ["--data", "tape:0"], "'tape:0' is no data set; give one of synthetic:SEED"),
    ("avclip", ["--data", "folder:"], "'folder:' is no data set"),
    (
        "sync",
        [*FILES, "--without", "clap"],
        "--without leaves out kinds of events, and folder:nowhere has no generated",
    ),
    ("avclip", [*FILES, "--resident"], "--resident keeps generated clips in memory, and not all of folder:nowhere"),
    ("sync", [*FILES, "--replace", "0.5"], "--replace asks what decides, which only generated clips tell"),
    ("sync", [*FILES, "--revoice", "0.5"], "--revoice asks what decides, which only generated clips tell"),
    ("synchronizability", [*FILES, "--labels", "truth"], "--labels truth asks when events happen"),
    # The stage and its options
    ("avclip", ["--sounds", "2"], "--sounds is an option of sync and baseline, not of avclip; leave it out there"),
    ("baseline", ["--model", "avst", "--revoice", "0.5"], "--revoice is an option of sync, not of baseline"),
    ("unimodal", ["--replace", "0.5"], "not of unimodal"),
    ("avclip", ["--model", "avst"], "--model is an option of unimodal and baseline, not of avclip"),
    ("baseline", ["--model", "avst", "--init", "mini"], "--init is an option of"),
    ("avclip", ["--module", "mini"], "--module is an option of sync"),
    ("unimodal", ["--audio-init", "hub"], "--audio-init is an option of avclip and sync"),
    ("unimodal", ["--video-init", "x.pyth"], "--video-init is an option of avclip and sync"),
    ("avclip", ["--no-cache"], "--no-cache is an option of sync and synchronizability, not of avclip"),
    ("avclip", ["--views", "2"], "--views is an option of"),
    ("unimodal", ["--trained-extractors"], "--trained-extractors is an option of"),
    ("sync", ["--labels", "published"], "--labels is an option of synchronizability"),
    ("sync", ["--published-positions"], "--published-positions is an option of synchronizability"),
    ("unimodal", ["--valid-crops", "2"], "--valid-crops is an option of"),
    ("synchronizability", ["--no-stage-one"], "--no-stage-one is an option of sync"),
    ("baseline", ["--model", "avst", "--no-unimodal"], "--no-unimodal is an option of avclip and sync"),
    # Weights
    ("baseline", [], "the stage baseline needs --model, one of avst, sparsesync"),
    ("unimodal", ["--model", "avst", "--init", "mini"], "leave out --model or --init"),
    (
        "sync",
        ["--audio-init", "hub"],
        "--audio-init starts an encoder, and both come from this folder's stage I",
    ),
    ("sync", ["--video-init", "x.pyth", "--init", "mini"], "both come from --init mini; leave out one of them"),
    # Crops
    ("unimodal", ["--resident", "--augment", "published"], "leave it out with --augment published"),
    ("unimodal", ["--resident", "--recipe", "paper"], "leave it out with --augment published"),
    ("sync", ["--resident"], "--resident keeps frames, and cached features are read instead"),
    ("sync", [*PIXELS, "--views", "2"], "--views are kept in cached features, which --no-cache does without"),
    ("sync", ["--trained-extractors", "--replace", "0.5"], "which --trained-extractors does without"),
    ("sync", ["--sounds", "2"], "cached features are encoded already; leave it out"),
    ("sync", [*PIXELS, "--sounds", "2", "--revoice", "0.5"], "leave out one of them"),
    ("sync", [*PIXELS, "--sounds", "3", "--batch", "4"], "--batch 4 crops cannot have 3 sounds to a picture"),
    ("baseline", ["--model", "avst", "--sounds", "3", "--batch", "4"], "make it a multiple"),
    ("sync", ["--data", "synthetic:0=0.4,folder:x"], "is a part of a mixture and needs a weight above 0"),
    ("sync", ["--data", "synthetic:0=0.4,folder:x=0"], "such as folder:x=0.5"),
    ("sync", ["--data", "synthetic:0=1,synthetic:0=2"], "names synthetic:0 twice"),
    ("unimodal", ["--data", "synthetic:0=1,folder:x=2"], "only generated clips do"),
    ("sync", ["--data", "synthetic:0=1,folder:x=2", "--replace", "0.5"], "which only generated clips tell"),
    ("avclip", ["--data", "synthetic:0=1,synthetic:9=2", "--resident"], "are several; leave it out"),
    # Values
    ("sync", ["--augment", "recorded"], "which sync does not read here; take --views"),
    ("sync", [*PIXELS, "--sounds", "2", "--augment", "recorded"], "leave tempo out of --changes"),
    ("sync", ["--average", "1"], "--average must be below 1, not 1.0"),
    ("unimodal", ["--augment", "recorded"], "which unimodal does not read here; leave it out"),
    ("avclip", ["--changes", "zoom"], "--changes are those of --augment recorded"),
    ("avclip", ["--resident", "--augment", "recorded"], "leave it out with --augment recorded"),
    ("sync", ["--balance-power", "2"], "--balance-power must be at most 1, not 2.0"),
    ("sync", ["--count", "0"], "--count must be at least 1, not 0"),
    ("sync", ["--held-out", "0"], "--held-out must be at least 1, not 0"),
    ("sync", ["--valid-crops", "0"], "--valid-crops must be at least 1, not 0"),
    ("sync", ["--views", "0"], "--views must be at least 1, not 0"),
    ("sync", ["--sounds", "0"], "--sounds must be at least 1, not 0"),
    ("sync", ["--workers", "-1"], "--workers must be at least 0, not -1"),
    ("sync", ["--replace", "1.5"], "--replace must be at most 1, not 1.5"),
    ("sync", ["--revoice", "nan"], "--revoice must be at least 0, not nan"),
    ("sync", ["--steps", "0"], "--steps must be at least 1, not 0"),
    ("sync", ["--loaders", "-1"], "--loaders must be at least 0, not -1"),
    ("sync", ["--lr", "0"], "--lr must be above 0, not 0.0"),
    ("sync", ["--beta2", "1"], "--beta2 must be below 1, not 1.0"),
    ("sync", ["--seed", "-1"], "--seed must be at least 0, not -1"),
    ("sync", ["--warmup", "20", "--steps", "20"], "--warmup 20.0 takes all of the 20 steps; make it shorter"),
    ("sync", ["--recipe", "paper", "--steps", "20"], "--epochs 1000 sets --steps and --valid-every"),
    ("sync", ["--ablation", "no-overlap", "--ablation", "segment-1.28"], "change the segments twice"),
]


@pytest.mark.parametrize(("stage", "given", "sentence"), REFUSED)
def test_wrong_commands_are_refused_at_once(tmp_path, monkeypatch, capsys, stage, given, sentence):
    """A sentence, while nothing is written, no clip is rendered, and no data set is even opened."""

    def touched(*_, **__):
        raise AssertionError("data were touched")

    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    monkeypatch.setattr(run, "StageData", touched)
    monkeypatch.setattr(source_data, "open_source", touched)
    monkeypatch.setattr(rendered, "render_frames", touched)
    monkeypatch.setattr(feature_cache, "build", touched)
    assert run.main([stage, "--out", str(tmp_path / "run"), *given]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "choices"),
    [
        (["--augment", "strong"], "light"),
        (["--labels", "all"], "truth"),
        (["--optimizer", "sgd"], "adamw"),
        (["--precision", "fp64"], "bf16"),
        (["--without", "whistle"], "clap"),
        (["--device", "gpu"], "auto, cpu or cuda"),
    ],
)
def test_unknown_choices_name_the_known_ones(tmp_path, capsys, given, choices):
    with pytest.raises(SystemExit, match="2"):
        run.main(["synchronizability", "--out", str(tmp_path / "run"), *given])
    assert choices in capsys.readouterr().err


@pytest.mark.parametrize("kind", [StageConfig, OptimConfig])
def test_a_value_that_no_command_line_checked_is_refused_too(tmp_path, kind):
    wrong = {"augment": "strong"} if kind is StageConfig else {"schedule": "steps"}
    with pytest.raises(ValueError, match=r"must be one of .*, not st"):
        if kind is StageConfig:
            StageConfig("sync", tmp_path, MINI, OptimConfig(), **wrong)
        else:
            OptimConfig(**wrong)


def test_every_field_is_documented_once():
    """All that may be asked for has a line of its own; what has none is what a stage is made of."""
    for kind, others in ((StageConfig, {"stage", "out", "config", "options"}), (OptimConfig, set())):
        assert {field.name for field in fields(kind)} == set(settings_of(kind)) | others
        assert all(setting.help.strip() for setting in settings_of(kind).values())


@pytest.mark.parametrize("stage", STAGES)
def test_the_help_shows_what_the_stage_knows(capsys, stage):
    with pytest.raises(SystemExit):
        run.main([stage, "--help"])
    shown = capsys.readouterr().out.split("options:")[1]
    words = set(shown.replace(",", " ").split())
    for kind in (StageConfig, OptimConfig):
        for name, setting in settings_of(kind).items():
            assert (option(name) in words) == (stage in setting.stages), name
