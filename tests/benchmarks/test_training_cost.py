"""The arithmetic of a training's cost, by hand."""

from benchmarks.training_cost import operations, table
from synchformer.config import BASE, MINI


def test_features_take_what_the_layout_says():
    """10 s: 29 places of picture with 8 tokens, 235 of sound with 6; two bytes a number."""
    one = 2 * 128 * (29 * 8 + 235 * 6)
    assert f"| features of stage II, float16 | {one / 1000:.0f} kB | {2000 * one / 1e6:.0f} MB |" in table(
        MINI, 2000, 10, 1
    )
    three = 2 * 768 * (3 * 29 * 8 + 235 * 6)
    assert f"| {three / 1e6:.3g} MB | {three / 1e6:.3g} GB |" in table(BASE, 1000, 10, 3)


def test_operations_are_those_of_the_weights_and_little_more():
    """A layer of width D has 12 D^2 weights, each of which meets every token; attention and patches come on top."""
    layers = 2 * 12 * 12 * 768**2 * (12 * 6 + 1)
    assert layers < operations(BASE).audio < 1.1 * layers
    assert operations(BASE).video > operations(BASE).audio > operations(MINI).audio
