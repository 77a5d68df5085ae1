"""Who uses which seeds: what is measured is not what weights were shaped on, and no default strays."""

import argparse
import ast
from importlib import import_module

import pytest

from synthetic import SEEDS, require_held_out
from synthetic.examples import PICTURE, SCENES, SOUND
from synthetic.film import FIRST_SEED
from synthetic.seeds import TRAINED, uses_of
from tests.support.paths import ROOT
from training.datasets.generated import GeneratedSource
from training.evaluation.synchronizability_by_cause import STRIDE

HELD_OUT = ("test", "calibration", "synchronizability", "examples", "benchmarks", "films", "attribution")

# Commands that measure: whose seeds their --seed and --count ask for, and how many each of the counted takes.
COMMANDS = {
    "training.evaluate": ("test", 1),
    "training.evaluation.segments": ("test", 1),
    "training.evaluation.synchronizability": ("test", 1),
    "training.evaluation.synchronizability_by_cause": ("synchronizability", STRIDE),
    "training.calibration.trials": ("calibration", 1),
    "training.calibration.fit": ("calibration", 1),
    "attribution.proof.evaluate": ("attribution", 1),
}


def overlap(one: range, other: range) -> bool:
    return max(one.start, other.start) < min(one.stop, other.stop)


def test_every_use_is_known():
    assert set(SEEDS) == {*TRAINED, *HELD_OUT}
    assert not overlap(SEEDS["train"], SEEDS["valid"])


@pytest.mark.parametrize("use", HELD_OUT)
def test_no_held_out_use_meets_a_training(use):
    assert not any(overlap(SEEDS[use], SEEDS[shaped]) for shaped in TRAINED)
    require_held_out(SEEDS[use])


@pytest.mark.parametrize("use", ["test", "benchmarks", "films", "attribution"])
def test_only_examples_and_trials_share_seeds(use):
    assert uses_of(SEEDS[use]) == (use,)


def test_uses_of_a_range():
    assert uses_of(range(999_999, 1_000_001)) == ("train", "valid")
    assert uses_of(range(2_999_999, 3_000_001)) == ("test", "calibration", "synchronizability", "examples")
    assert uses_of(range(5_000_000, 6_000_000)) == ()


def test_seeds_that_weights_were_shaped_on_are_refused():
    with pytest.raises(ValueError, match=r"seeds 1999999 to 2000001 reach into those of valid \(below 2000000\)"):
        require_held_out(range(1_999_999, 2_000_002))
    with pytest.raises(ValueError, match=r"those of train and valid \(below 2000000\), on which weights were shaped"):
        require_held_out(range(999_999, 1_000_001))


class Parsed(Exception):  # noqa: N818 - carries the parser out of a command before it begins to work
    pass


def parser_of(command, monkeypatch) -> argparse.ArgumentParser:
    def parse_args(parser, argv=None):
        raise Parsed(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    with pytest.raises(Parsed) as caught:
        import_module(command).main([])
    return caught.value.args[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_of_commands_lie_in_their_range(command, monkeypatch):
    parser = parser_of(command, monkeypatch)
    use, each = COMMANDS[command]
    first, count = parser.get_default("seed"), parser.get_default("count")
    assert first in SEEDS[use]
    assert first + count * each - 1 in SEEDS[use]


def test_scenes_of_examples_and_films_lie_in_their_range():
    assert {*SCENES.values(), PICTURE, SOUND} <= set(SEEDS["examples"])
    assert FIRST_SEED in SEEDS["films"]


def test_generated_data_sets_keep_to_their_splits():
    source = GeneratedSource()
    assert all(set(source.seeds(split)) <= set(SEEDS[split]) for split in ("train", "valid", "test"))
    with pytest.raises(ValueError, match="test clips have seeds from 2000000 to 2999999, not from 1999999"):
        GeneratedSource(first_test=1_999_999)


@pytest.mark.parametrize(
    "command", [name for name, (use, _) in COMMANDS.items() if use != "test" and name != "training.calibration.fit"]
)
def test_commands_refuse_seeds_of_a_training(command, tmp_path, capsys):
    folder = [str(tmp_path)] if command == "training.calibration.trials" else []
    with pytest.raises(SystemExit) as ended:
        import_module(command).main([*folder, "--seed", "1999990", "--count", "20"])
    assert ended.value.code == 2
    assert "on which weights were shaped; choose a later --seed" in capsys.readouterr().err


def test_no_other_module_writes_first_seeds_out():
    """A round number as large as a held-out seed stands in the registry alone."""
    owners = set()
    for package in ("attribution", "benchmarks", "synthetic", "training"):
        for path in (ROOT / package).rglob("*.py"):
            values = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
            numbers = [value for value in values if type(value) is int and value % 10_000 == 0]
            if any(SEEDS["valid"].start <= number <= SEEDS["attribution"].stop for number in numbers):
                owners.add(path.relative_to(ROOT).as_posix())
    assert owners == {"synthetic/seeds.py"}
