"""Whether a synchronizability model finds nothing that picture and sound share, at the measured limit of its doubt."""

from __future__ import annotations

from dataclasses import replace

from synchformer.consensus.constants import doubt_of
from synchformer.inference.prediction import Synchronizability
from synchformer.modeling.synchformer import TwoStreams


def with_doubt(answer: Synchronizability, model: TwoStreams) -> Synchronizability:
    """The same answer, in words that rest on what the model said of recorded clips in sync."""
    return replace(answer, doubt=doubt_of(model))
