"""The running average of weights: by hand, in a run, and across an interruption."""

import pytest
import torch

from tests.support.quadratic import Quadratic
from training.config.optimization import OptimConfig
from training.trainer.checkpoint import load_state
from training.trainer.loop import train
from training.trainer.weight_average import WeightAverage


def test_average_by_hand():
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(1.0)
    average = WeightAverage(module, 0.9)
    module.weight.data.fill_(2.0)
    average.update(module, 1000)
    assert float(average.values["weight"]) == pytest.approx(0.9 * 1 + 0.1 * 2)
    average.update(module, 1)  # a young average forgets faster: 2 / 11 stays
    assert float(average.values["weight"]) == pytest.approx(2 - 0.9 * 2 / 11)
    with average.in_place_of(module):
        assert float(module.weight) == pytest.approx(float(average.values["weight"]))
    assert float(module.weight) == 2.0


def test_what_is_validated_and_kept_is_the_average(tmp_path):
    torch.manual_seed(0)
    options = OptimConfig(steps=30, batch=1, lr=0.3, valid_every=10, save_every=10, log_every=10, average=0.5)
    train(Quadratic(), options, tmp_path)
    state, best = load_state(tmp_path / "state.pt"), load_state(tmp_path / "best.pt")
    assert set(state["average"]) == set(state["model"])
    assert any(not torch.equal(state["average"][name], state["model"][name]) for name in state["model"])
    assert all(torch.equal(best["average"][name], best["model"][name]) for name in best["model"])


def test_an_interrupted_run_goes_on_with_the_same_average(tmp_path):
    options = OptimConfig(steps=30, batch=1, lr=0.3, valid_every=30, save_every=10, log_every=10, average=0.9)
    torch.manual_seed(0)
    train(Quadratic(), options, tmp_path / "whole")
    torch.manual_seed(0)
    task, saved = Quadratic(), []

    def stop():
        saved.append(1)
        raise KeyboardInterrupt

    original, steps = task.batch, []
    task.batch = lambda rng: original(rng) if steps.append(1) or len(steps) <= 20 else stop()
    with pytest.raises(KeyboardInterrupt):
        train(task, options, tmp_path / "cut")
    torch.manual_seed(0)
    train(Quadratic(), options, tmp_path / "cut")
    whole, cut = (load_state(tmp_path / name / "state.pt")["average"] for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
