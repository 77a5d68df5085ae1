"""The same units explained by captum's methods, to compare the masking with.

| name | what it asks |
|---|---|
| `occlusion` | what is lost when one unit alone is replaced (captum's FeatureAblation) |
| `kernelshap` | Shapley values, from captum's KernelSHAP (Lundberg & Lee 2017) |
| `integrated_gradients` | the gradient along the way from a distractor to the clip (Sundararajan et al. 2017) |

All of them explain the margin (log odds of a correct decision) and take the mean over the distractors as the value of a
mask. They give no intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from captum.attr import FeatureAblation, IntegratedGradients, KernelShap
from torch import Tensor

from attribution.masking.units import Unit, token_owners
from attribution.scoring.decision import Target
from attribution.scoring.scorers import Scorer, TokenScorer
from synchformer.inference.prediction import Encoding
from synchformer.modeling.synchformer import Synchformer
from synchformer.stats.intervals import Array

Method = Literal["occlusion", "kernelshap", "integrated_gradients"]
METHODS: tuple[Method, ...] = get_args(Method)
Game = Callable[[Tensor], Tensor]


def explain(
    model: Synchformer,
    clip: Encoding,
    distractors: Sequence[Encoding],
    units: Sequence[Unit],
    target: Target,
    method: Method,
    *,
    samples: int = 2000,
    steps: int = 32,
    seed: int = 0,
) -> Array:
    """Values of the units, (U,), by one of captum's methods at the token level.

    Args:
        model: in evaluation mode.
        clip: features of the clip.
        distractors: features that stand in for what is replaced.
        units: of one stream or both.
        target: the decision.
        method: one of `METHODS`.
        samples: masks of KernelSHAP.
        steps: points on the way of integrated gradients.
        seed: of KernelSHAP's masks.

    Raises:
        ValueError: for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if method == "integrated_gradients":
        return _integrated_gradients(model, clip, distractors, units, target, steps)
    scorer = TokenScorer(model, clip, distractors, units, "fp32")
    return explain_game(make_game(scorer, target, len(distractors)), len(units), method, samples, seed)


def make_game(scorer: Scorer, target: Target, distractors: int) -> Game:
    """The worth of coalitions, float (N, U) of zeros and ones, to (N,): the mean margin over the distractors."""

    def worth(coalitions: Tensor) -> Tensor:
        masks = coalitions > 0.5
        margins = [
            target.correctness(scorer(masks, torch.full((len(masks),), which, dtype=torch.int64)))[1].cpu()
            for which in range(distractors)
        ]
        return torch.stack(margins).mean(0)

    return worth


def explain_game(game: Game, units: int, method: Method, samples: int, seed: int) -> Array:
    """Occlusion or KernelSHAP values, (U,), of any game over `units` players."""
    whole, nobody = torch.ones(1, units), torch.zeros(1, units)
    if method == "occlusion":
        attributed = FeatureAblation(game).attribute(whole, baselines=nobody, perturbations_per_eval=16)
    else:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 captum draws from the global generators
        attributed = KernelShap(game).attribute(
            whole, baselines=nobody, n_samples=samples, perturbations_per_eval=16, show_progress=False
        )
    values: Array = attributed[0].double().numpy()
    return values


def _integrated_gradients(
    model: Synchformer,
    clip: Encoding,
    distractors: Sequence[Encoding],
    units: Sequence[Unit],
    target: Target,
    steps: int,
) -> Array:
    """Gradients times differences, summed over the channels of each token, then over each unit's tokens."""

    def worth(video: Tensor, audio: Tensor) -> Tensor:
        return target.correctness(model.synchronize(video, audio))[1]

    method = IntegratedGradients(worth)
    inputs = (clip.video_features.clone(), clip.audio_features.clone())
    total = torch.zeros(len(units) + 1, dtype=torch.float64)
    for other in distractors:
        baselines = (other.video_features.clone(), other.audio_features.clone())
        video, audio = method.attribute(inputs, baselines, n_steps=steps, internal_batch_size=8)
        tokens = [part.detach().double().sum(-1).flatten().cpu() for part in (video, audio)]
        nothing = torch.zeros(1, dtype=torch.float64)
        places = torch.cat([nothing, tokens[0], nothing, tokens[1]])
        total.index_add_(0, token_owners(units, len(places)), places)
    values: Array = (total[:-1] / len(distractors)).numpy()
    return values
