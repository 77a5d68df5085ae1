"""Where a process of a run computes: on the device that is named, or a sentence about why not."""

import pytest
import torch

from training.runtime.distributed import world


@pytest.fixture
def one_gpu(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_a_process_takes_the_gpu(one_gpu, device):
    with world(device) as group:
        assert group.device == torch.device("cuda", 0)
    assert one_gpu == [group.device]


def test_a_process_takes_the_cpu_where_it_is_asked_for(one_gpu):
    with world("cpu") as group:
        assert group.device.type == "cpu"
    assert not one_gpu


@pytest.mark.parametrize(
    ("device", "processes", "sentence"),
    [
        ("gpu", 1, "unknown device 'gpu'; choose auto, cpu or cuda"),
        ("cuda:1", 1, r"--device cuda:1: this machine has no such GPU \(1 found\)"),
        ("cuda", 2, r"--device cuda: process 1 of this machine has no GPU \(1 found\); start fewer processes"),
        ("cuda:0", 2, "--device cuda:0 is one GPU for 2 processes; use --device cuda"),
    ],
)
def test_what_is_not_there_is_a_sentence(one_gpu, monkeypatch, device, processes, sentence):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    monkeypatch.setenv("LOCAL_RANK", str(processes - 1))
    with pytest.raises(ValueError, match=sentence), world(device):
        pass
