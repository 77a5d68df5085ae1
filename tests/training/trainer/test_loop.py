"""The training loop: it reaches a known minimum, ends with the same bits when interrupted, stops when lost."""

import json
import math
import os
import signal
import subprocess
import sys

import pytest
import torch

from tests.support.paths import ROOT
from tests.support.processes import run_apart
from tests.support.quadratic import Quadratic
from tests.support.quadratic import main as quadratic_main
from training.config.optimization import OptimConfig
from training.trainer.checkpoint import load_state
from training.trainer.divergence import DivergedError, Watch
from training.trainer.loop import train
from training.trainer.optimizer import learning_rate

OPTIONS = OptimConfig(steps=60, batch=1, lr=0.3, valid_every=60, save_every=7, log_every=20)
SHORT = OptimConfig(steps=9, batch=2, lr=0.1, clip=1e6, valid_every=9, save_every=9, log_every=3)


def quadratic(seed=0, **changes):
    torch.manual_seed(seed)
    return Quadratic(**changes)


def test_training_reaches_the_minimum(tmp_path):
    assert train(quadratic(), OPTIONS, tmp_path)["value"] == pytest.approx(3.0, abs=0.15)


def log_of(folder):
    """Rows of a log, without what the clock says."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def test_run_killed_at_any_step_ends_with_the_same_bits(tmp_path):
    """SIGKILL at three places, in the middle of a step and of a save, compared with a run that nobody killed."""
    train(quadratic(dropout=0.5), OPTIONS, tmp_path / "whole")
    for place in ("step 17", "save 4", "step 53"):
        assert run_apart(quadratic_main, tmp_path / "killed", place) == -signal.SIGKILL
    assert run_apart(quadratic_main, tmp_path / "killed", "never") == 0
    whole, resumed = (load_state(tmp_path / name / "state.pt") for name in ("whole", "killed"))
    assert whole["step"] == resumed["step"] == 60
    assert all(torch.equal(whole["model"][name], resumed["model"][name]) for name in whole["model"])
    first, second = (state["optimizer"]["state"][0]["exp_avg"] for state in (whole, resumed))
    assert torch.equal(first, second)
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "killed")


def test_two_processes_take_the_step_of_one(tmp_path):
    """Two processes joined by gloo, and one that accumulates as many micro-batches, end with the same bits."""
    alone = SHORT.with_values(accumulate=2)
    train(quadratic(dropout=0.5), alone, tmp_path / "one")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    together = subprocess.run(
        [*launch, "-m", "tests.support.quadratic", str(tmp_path / "two"), "never", "two"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert together.returncode == 0, together.stderr.decode()
    one, two = (load_state(tmp_path / name / "state.pt") for name in ("one", "two"))
    assert all(torch.equal(one["model"][name], two["model"][name]) for name in one["model"])
    first, second = ([row for row in log_of(tmp_path / name) if "loss" in row] for name in ("one", "two"))
    assert [row["loss"] for row in first] == pytest.approx([row["loss"] for row in second], abs=1e-6)
    assert [row.get("rare") for row in first] == pytest.approx([row.get("rare") for row in second], abs=1e-6)
    assert not torch.equal(one["model"]["rare"], torch.zeros(1)), "some batches trained what others left alone"


def test_other_micro_batches_give_other_parameters(tmp_path):
    """The test above could not fail if micro-batches did not differ."""
    options = SHORT
    train(quadratic(dropout=0.5), options, tmp_path / "one")
    train(quadratic(dropout=0.5), options.with_values(accumulate=2), tmp_path / "two")
    one, two = (load_state(tmp_path / name / "state.pt")["model"] for name in ("one", "two"))
    assert not any(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("loaders", [0, 1])
def test_loss_that_is_not_a_number_stops_and_keeps_the_last_state(tmp_path, loaders):
    with pytest.raises(DivergedError, match=r"step 19: the loss is nan.*state.pt holds.*training.check") as caught:
        train(quadratic(poison_at=20), OPTIONS.with_values(loaders=loaders), tmp_path)
    assert "lower --lr" not in str(caught.value), "the data are at fault, not the learning rate"
    assert load_state(tmp_path / "state.pt")["step"] == 14
    failed = load_state(tmp_path / "diverged.pt")
    assert failed["step"] == 19
    assert all(torch.isfinite(value).all() for value in failed["model"].values())


def test_weights_that_overflow_ask_for_another_rate_and_name_no_state_that_is_not_there(tmp_path):
    task = quadratic()
    task.module.linear.weight.data.fill_(1e38)
    with pytest.raises(DivergedError, match=r"no good state was saved yet.*diverged.pt holds.*lower --lr"):
        train(task, OPTIONS, tmp_path)
    assert not (tmp_path / "state.pt").exists()


def test_loss_that_runs_away_stops(tmp_path):
    watch = Watch()
    assert all(watch.problem(1.0, 1.0) is None for _ in range(100))
    found = [watch.problem(4.0, 1.0) for _ in range(40)]
    assert found[0] is None, "one bad step is no divergence"
    assert "runs away" in found[-1]
    assert "norm" in Watch().problem(1.0, math.inf)


def test_damaged_state_is_a_sentence(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(ValueError, match="cannot resume"):
        train(quadratic(), OPTIONS, tmp_path)


def test_early_stopping_waits_for_a_strictly_better_headline(tmp_path):
    options = OPTIONS.with_values(steps=60, valid_every=5, patience=3, save_every=60)
    train(quadratic(headlines=[1, 2, 2, 1, 2, 9, 9]), options, tmp_path)
    assert load_state(tmp_path / "state.pt")["step"] == 25, "best at 10, then three validations that are no better"
    assert load_state(tmp_path / "best.pt")["step"] == 10


def test_batches_made_ahead_are_the_same(tmp_path):
    for loaders in (0, 2):
        train(quadratic(), OPTIONS.with_values(loaders=loaders, steps=12), tmp_path / str(loaders))
    one, two = (load_state(tmp_path / name / "state.pt")["model"] for name in ("0", "2"))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_reaches_the_minimum(tmp_path, precision):
    assert train(quadratic(), OPTIONS.with_values(precision=precision), tmp_path)["value"] == pytest.approx(3, abs=0.15)


def test_log_is_cut_back_to_the_saved_state(tmp_path):
    train(quadratic(), OPTIONS, tmp_path)
    (tmp_path / "log.jsonl").write_text('{"step": 20}\n{"step": 61}\n{"ste')
    train(quadratic(), OPTIONS.with_values(steps=80), tmp_path)
    assert [row["step"] for row in log_of(tmp_path)] == [20, 80, 80]


def test_learning_rates_by_hand():
    cycle = OptimConfig(steps=100, lr=1.0, warmup=0.1)
    rates = [learning_rate(step, cycle) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5, abs=0.01)
    assert rates[99] < 0.001
    published = OptimConfig(steps=5000, lr=2e-6, scale_lr=True, schedule="constant", warmup=1000)
    measured = [learning_rate(step, published, processes=8) for step in (0, 1000, 4999)]
    assert measured == pytest.approx([1.6e-7, 1.6e-5, 1.6e-5]), "as measured on the published code with 8 GPUs"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"batch": 0}, "--batch"),
        ({"optimizer": "sgd"}, "adamw, adam"),
        ({"warmup": 60}, "--warmup"),
        ({"lr": -1}, "lr"),
    ],
)
def test_unusable_options_are_sentences(changes, found):
    with pytest.raises(ValueError, match=found):
        OPTIONS.with_values(**changes)
