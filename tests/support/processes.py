"""Processes that a test may kill: they begin as copies of one that has imported PyTorch, and know nothing else."""

from multiprocessing import get_context

import torch

from training.runtime.processes import PRELOADED


def run_apart(function, *arguments, seconds=120):
    """Call a function of a module in a process of its own, with as many threads as here.

    Returns:
        its exit code: 0, 1 after an error, or less than 0 the signal that ended it.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_call, args=(torch.get_num_threads(), function, arguments))
    process.start()
    process.join(seconds)
    assert process.exitcode is not None, f"still running after {seconds} s"
    return process.exitcode


def _call(threads, function, arguments):
    torch.set_num_threads(threads)
    function(*arguments)
