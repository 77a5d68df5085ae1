"""Two processes run the tests; each keeps to one thread, for more would wait for one another."""

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    from tests.support.browser import chromium

    with chromium() as started:
        yield started
