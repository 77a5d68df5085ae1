"""Who uses which seeds: one registry, so that it can be checked that nothing is measured on what was trained on.

A seed gives one scene for each choice of its events, its length and its kinds, so clips of equal seeds may differ;
seeds that are apart always give other clips.
"""

from __future__ import annotations

SEEDS: dict[str, range] = {
    "train": range(1_000_000),
    "valid": range(1_000_000, 2_000_000),  # picks the state of a training that is kept
    "test": range(2_000_000, 3_000_000),
    "calibration": range(3_000_000, 3_100_000),  # the constants of continuous offsets are fitted on these
    "synchronizability": range(3_000_000, 3_100_000),
    "examples": range(3_000_000, 3_001_000),
    "benchmarks": range(3_800_000, 3_900_000),
    "films": range(3_900_000, 4_000_000),
    "attribution": range(4_000_000, 5_000_000),
}
"""The seeds of every use. Examples, calibration and synchronizability share some; none shares any with a training."""

TRAINED = ("train", "valid")
"""Uses that shape weights."""


def uses_of(seeds: range) -> tuple[str, ...]:
    """The uses whose seeds meet a range of seeds, in the order of `SEEDS`."""
    return tuple(use for use, known in SEEDS.items() if max(seeds.start, known.start) < min(seeds.stop, known.stop))


def require_held_out(seeds: range) -> None:
    """See that no weights were shaped on a range of seeds.

    Raises:
        ValueError: when some were.
    """
    shaped = [use for use in uses_of(seeds) if use in TRAINED]
    if shaped:
        raise ValueError(
            f"seeds {seeds.start} to {seeds.stop - 1} reach into those of {' and '.join(shaped)} (below "
            f"{SEEDS[shaped[-1]].stop}), on which weights were shaped; choose a later --seed"
        )
