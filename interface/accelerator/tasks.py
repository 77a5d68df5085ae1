"""What a session asks of a model, step by step; each is a function that `accelerator` can run elsewhere.

Arguments and answers are plain values and dataclasses of tensors, so that they can be pickled.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from attribution.masking.distractors import Bank, load_bank
from attribution.masking.units import make_units
from attribution.proof.captum_methods import Method, explain
from attribution.result import Attribution
from attribution.sampling_loop import stream
from attribution.scoring.decision import find_target
from attribution.settings import Modality, Settings
from synchformer.config import Precision
from synchformer.consensus.answers import Surroundings, ask_shifted
from synchformer.consensus.shared import with_doubt
from synchformer.inference.prediction import (
    Encoding,
    Prediction,
    Synchronizability,
    decide,
    encode,
    predict_synchronizability,
)
from synchformer.inference.sliding_windows import Window
from synchformer.inference.sweep import Sounds
from synchformer.media.crop import Crop
from synchformer.modeling.synchformer import Synchformer
from synchformer.stats.intervals import Array

FEW_DISTRACTORS = 3  # for captum's methods, which try every mask with every distractor
SHAP_MASKS = 300


def first_answer(model: Synchformer, clip: Crop, precision: Precision) -> tuple[Encoding, Prediction]:
    """Encode picture and sound, and decide."""
    encoding = encode(model, clip, precision=precision)
    return encoding, decide(model, encoding, precision=precision)


def more_answers(
    model: Synchformer, sounds: Sounds, clips: Sequence[Crop], precision: Precision
) -> tuple[Sounds, list[Prediction]]:
    """Decide about the same picture under other offsets; `sounds` comes back with what was encoded for it."""
    return sounds, sounds.ask(model, clips, precision=precision)


def other_sound(model: Synchformer, clip: Crop, like: Encoding, precision: Precision) -> Prediction:
    """Decide about the same picture under an offset that nobody will ask for again."""
    return decide(model, encode(model, clip, precision=precision, like=like), precision=precision)


def windows_around(
    model: Synchformer, around: Surroundings, shifts: Sequence[float], precision: Precision
) -> tuple[Window, ...]:
    """Answers about a decoded clip under shifts of its sound."""
    return ask_shifted(model, around, shifts, precision=precision).windows


def synchronizability(model: Synchformer, clip: Crop, precision: Precision) -> Synchronizability:
    """Whether the model recognizes that picture and sound belong together."""
    return with_doubt(predict_synchronizability(model, clip, precision=precision), model)


def bank(model: Synchformer, places: Sequence[Path], precision: Precision) -> Bank:
    """Distractors' features."""
    return load_bank(model, places, precision=precision)


def attribute(
    model: Synchformer,
    distractors: Bank,
    clip: Crop,
    settings: Settings,
    resume: Attribution | None,
    every: float,
    seconds: float = math.inf,
) -> Iterator[Attribution]:
    """Partial attributions, a new one every `every` seconds, for about `seconds`; `resume` goes on after that."""
    end = time.monotonic() + seconds
    for attribution in stream(model, clip, distractors, settings, resume=resume, every=every):
        yield attribution
        if time.monotonic() >= end:
            return


def explained(
    model: Synchformer, distractors: Bank, clip: Crop, settings: Settings, method: Method
) -> dict[Modality, Array]:
    """Values of each stream's units by one of captum's methods."""
    others = [each.encoding for each in distractors.distractors[:FEW_DISTRACTORS]]
    encoding = encode(model, clip, precision=settings.precision)
    logits = torch.tensor(decide(model, encoding, precision=settings.precision).logits)
    target = find_target(model.config, logits, encoding.applied_offset, settings.reference)
    streams = {name: make_units(model.config, (name,), settings.unit_seconds) for name in settings.modalities}
    return {
        name: explain(model, encoding, others, units, target, method, samples=SHAP_MASKS)
        for name, units in streams.items()
    }
