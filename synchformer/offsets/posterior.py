"""From distributions over coarse classes, under many known shifts, to a density over a continuous offset.

A file whose sound is d seconds early, shown to the model with its sound moved by s, has the total offset x = d + s. The
model then answers class c with the probability R(c | x), its response: a staircase with one step per class, which is
flat where x lies between two steps and so cannot tell those apart. Several shifts lay the steps at other places of d,
and together they cut it finely. This is how a coarse quantizer gains resolution from known dither (Schuchman, "Dither
signals and their effect on quantization noise", 1964).

The density over d, for answers p_k under shifts s_k and a uniform prior on the offsets in question, is the tempered
product of the expected likelihoods

    log f(d) = w * sum_k sum_c p_k(c) * log R(c | d + s_k) + constant,

mixed with a share o of the uniform density: f <- (1 - o) f + o u. The weight w says how much of the sum is news, for
answers about the same picture and sound repeat each other; the share o is how often a model is sure and wrong. Both are
the ones under which held-out clips' true offsets are likeliest, and R is the mean response to offsets that are known;
beyond the model's classes R is unknown and a pair says nothing.

Intervals are central, from quantile (1 - q) / 2 to (1 + q) / 2. q is conformal: the quantile of |2 F(d) - 1| over clips
with known offsets, so that the stated share of like clips is covered whatever the density's faults (Chernozhukov,
Wuthrich, Zhu, "Distributional conformal prediction", PNAS 2021).

Shape legend: K offsets of the density's grid, M shifts, C classes, W windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from synchformer.offsets.response import Response

Floats = NDArray[np.float64]

STEP = 0.01  # s between the grid's offsets


@dataclass(frozen=True)
class Posterior:
    """A density over the offset: `mass` (K,) sums to 1 over `offsets` (K,) in seconds, evenly spaced."""

    offsets: Floats
    mass: Floats

    def below(self, offset: float) -> float:
        """The probability that the true offset lies below `offset` seconds."""
        edges = np.append(self.offsets - self._half, self.offsets[-1] + self._half)
        return float(np.interp(offset, edges, np.append(0.0, np.cumsum(self.mass))))

    def quantile(self, share: float) -> float:
        """The offset in seconds below which `share` of the probability lies."""
        edges = np.append(self.offsets - self._half, self.offsets[-1] + self._half)
        return float(np.interp(share, np.append(0.0, np.cumsum(self.mass)), edges))

    def interval(self, q: float) -> tuple[float, float]:
        """The central interval that holds the probability `q`, in seconds."""
        return self.quantile((1 - q) / 2), self.quantile((1 + q) / 2)

    @property
    def median(self) -> float:
        """The offset, in seconds, with as much probability below as above."""
        return self.quantile(0.5)

    def near(self, offset: float, reach: float) -> float:
        """The probability within `reach` seconds of `offset`."""
        return self.below(offset + reach) - self.below(offset - reach)

    @property
    def _half(self) -> float:
        return float(self.offsets[1] - self.offsets[0]) / 2


def offset_grid(reach: float, step: float = STEP) -> Floats:
    """Offsets from -reach to +reach seconds, `step` apart, zero among them: (K,)."""
    count = round(reach / step)
    return np.asarray(np.arange(-count, count + 1) * step)


def evidence(offsets: Floats, shifts: Floats, probabilities: Floats, response: Response) -> Floats:
    """The untempered sum over shifts for every offset of the grid: (K,).

    Args:
        offsets: the grid (K,), seconds.
        shifts: seconds by which the sound was moved (M,).
        probabilities: the model's answers (M, C).
        response: the model's mean response.
    """
    total = np.zeros(len(offsets))
    for shift, answer in zip(shifts, probabilities, strict=True):
        total += response.log_likelihood(offsets + shift, answer)
    return total


def mixed(densities: Floats, uniform: float) -> Floats:
    """Log densities (W, K) relative to the uniform one, each mixed with a share of it."""
    peaks = densities - logsumexp(densities, axis=1, keepdims=True) + np.log(densities.shape[1])
    mixtures: Floats = np.logaddexp(np.log1p(-uniform) + peaks, np.log(uniform))
    return mixtures


def to_posterior(offsets: Floats, log_density: Floats, share: float) -> Posterior:
    """Normalize a log density (K,) over the grid and mix it with `share` of the uniform one."""
    mass = np.exp(log_density - log_density.max())
    return Posterior(offsets, (1 - share) * mass / mass.sum() + share / len(offsets))
