"""`torch.compile` in training: the same steps as without it, and none lost where it does not work."""

import functools

import pytest
import torch

from synchformer.checkpoints.registry import save_model
from synchformer.modeling.synchformer import Synchformer
from tests.support.quadratic import Quadratic
from tests.support.runs import TINY
from training import run
from training.config.optimization import OptimConfig
from training.stages.unimodal import EventHeads
from training.trainer.loop import train
from training.trainer.run_log import LOG, read_log


def test_training_goes_on_where_compiling_fails(tmp_path, monkeypatch, capsys):
    """The same parameters as without `compile`, and one sentence that says why."""

    def broken(*_):
        raise OSError("no compiler to be found")

    options = OptimConfig(steps=5, batch=2, lr=0.1, valid_every=5, save_every=5)
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        task = Quadratic()
        monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=broken))
        train(task, options.with_values(compile=compiled), tmp_path / str(compiled))
        found.append([value.clone() for value in task.module.parameters()])
    assert all(map(torch.equal, *found))
    assert capsys.readouterr().out.count("torch.compile does not work here") == 1


def test_spectrograms_stay_out_of_compiled_graphs():
    """They hold complex numbers and filters that tracing would build in every step; what follows is compiled."""
    torch.manual_seed(0)
    heads, waves = EventHeads(TINY).eval(), torch.randn(2, TINY.segment_samples)
    graphs = []

    def seen(graph, _):
        graphs.append(" ".join(str(node.target) for node in graph.graph.nodes))
        return graph.forward

    with torch.no_grad():
        found, expected = torch.compile(heads.hear, backend=seen)(waves), heads.hear(waves)
    assert torch.allclose(found, expected, atol=1e-6)
    assert any("linear" in graph for graph in graphs)
    assert not any(name in graph for graph in graphs for name in ("stft", "fft", "hann_window"))


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["unimodal", "avclip", "sync", "synchronizability"])
def test_compiled_stages_take_the_same_steps(tmp_path, monkeypatch, stage):
    """Two steps of every stage under `torch.compile` end close to two steps without."""
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    torch.manual_seed(0)
    sizes = ["--count", "3", "--held-out", "2", "--workers", "0", "--batch", "2"]
    sizes += [] if stage == "unimodal" else ["--valid-crops", "6"]
    more = ["--no-cache", "--init", str(tmp_path / "tiny.safetensors")] if stage.startswith("sync") else []
    if more:
        save_model(Synchformer(TINY), tmp_path / "tiny.safetensors")
    found = {}
    for name, flag in (("plain", "--no-compile"), ("compiled", "--compile")):
        command = [stage, "--out", str(tmp_path / name), *sizes, *more, "--steps", "2", "--precision", "fp32", flag]
        assert run.main([*command, "--log-every", "1"]) == 0
        found[name] = [row["loss"] for row in read_log(tmp_path / name / stage / LOG) if "loss" in row]
    assert len(found["plain"]) == 2
    assert found["compiled"] == pytest.approx(found["plain"], rel=1e-3)
