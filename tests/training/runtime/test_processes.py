"""Worker processes: in order, one thread each, errors and all."""

import os

import pytest
import torch

from training.runtime.processes import in_order


def whereabouts(item):
    """The process, its threads, and whether it holds a GPU's state."""
    return item, os.getpid(), torch.get_num_threads(), torch.cuda.is_initialized()


def fail_at_three(item):
    if item == 3:
        raise ValueError("three cannot be done")
    return item


def test_processes_work_with_one_thread_each_and_no_gpu():
    found = [result for _, result in in_order(whereabouts, range(6), workers=2)]
    assert [item for item, *_ in found] == list(range(6))
    assert os.getpid() not in {process for _, process, *_ in found}
    assert {(threads, used) for _, _, threads, used in found} == {(1, False)}


@pytest.mark.parametrize("workers", [0, 1])
def test_what_fails_in_a_process_is_raised_in_its_turn(workers):
    results = in_order(fail_at_three, range(6), workers)
    assert [next(results) for _ in range(3)] == [(0, 0), (1, 1), (2, 2)]
    with pytest.raises(ValueError, match="three cannot be done"):
        next(results)
