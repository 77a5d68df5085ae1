"""What the result card shows, as one JSON object that `static/result.js` draws."""

from __future__ import annotations

from typing import Any

from interface.session.model_registry import label
from interface.session.workspace import Answer
from interface.views.offset_figures import distribution, moved
from synchformer.checkpoints.experience import experience
from synchformer.checkpoints.registry import CHECKPOINTS
from synchformer.consensus.consensus import Consensus
from synchformer.inference.prediction import Prediction, Synchronizability, Timing

View = dict[str, Any]


def empty_view(grid: tuple[float, ...]) -> View:
    """The card before any clip: an invitation and empty axes."""
    return {
        "state": "empty",
        "sentence": "Drop in a video to see how far its sound is off.",
        "detail": "Then move the sound yourself and watch the answer follow.",
        "timing": "",
        "figure": distribution(grid, None),
    }


def error_view(sentence: str) -> View:
    """The card when something went wrong; the last distribution stays behind it, faint."""
    return {"error": sentence}


def answer_view(answer: Answer, *, key: str, start: float, model: str, device: str) -> View:
    """The card for one measurement.

    Args:
        answer: what to show.
        key: the opened clip, so that the page can ask about it again.
        start: seconds; where the crop begins.
        model: name of the model.
        device: where it ran.
    """
    place = {"key": key, "start": start, "model": model}
    figure = {"figure": distribution(answer.prediction.grid, answer.prediction)}
    return place | _words(answer, model, device) | figure


def moved_view(answer: Answer, *, model: str, device: str) -> View:
    """The same card for another offset: only what changes."""
    return _words(answer, model, device) | {"moved": moved(answer.prediction)}


def consensus_view(consensus: Consensus, *, key: str, start: float, model: str) -> View:
    """What is added to the card once the answer was tested: until then the single answer is provisional.

    Where nothing is `stated`, this takes the place of every single answer.
    """
    answer, why = consensus.sentence, ""
    if not consensus.stated:
        answer, _, why = answer.partition(": ")
    return {
        "key": key,
        "start": start,
        "model": model,
        "stated": consensus.stated,
        "sentence": _as_sentence(answer),
        "detail": " ".join(f"{_as_sentence(each)}." for each in (why, consensus.note) if each),
    }


def _as_sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def single_only_view(*, key: str, start: float, model: str) -> View:
    """The same for a model that is too slow here to be asked at many places."""
    return {
        "key": key,
        "start": start,
        "model": model,
        "stated": None,
        "sentence": "One answer, not tested",
        "detail": f"{label(model)} is too slow on this computer to move the sound to many places; synchformer predict "
        "does that.",
    }


def _words(answer: Answer, model: str, device: str) -> View:
    return {
        "state": "telling" if answer.is_conclusive else "unsure",
        "applied": answer.prediction.applied_offset,
        "sentence": answer.sentence[0].upper() + answer.sentence[1:],
        "detail": " ".join(answer.lacks) or detail(answer.prediction),
        "timing": f"{timing(answer.prediction.timing)} — {label(model)} on {device}",
        "lacking": bool(answer.lacks),
        "seen": experience(model) if model in CHECKPOINTS else "",
        "note": " ".join(note for note in answer.notes if note not in answer.lacks),
    }


def synchronizability_view(answer: Synchronizability, *, key: str, start: float) -> View:
    """What is added to the card once the other model was asked whether picture and sound share anything."""
    return {
        "key": key,
        "start": start,
        "applied": answer.applied_offset,
        "probability": answer.probability,
        "able": answer.finds_something if answer.finds_something or answer.finds_nothing else None,
        "sentence": answer.sentence[0].upper() + answer.sentence[1:] + ".",
    }


def detail(prediction: Prediction) -> str:
    """What the sentence means for this file, in one line."""
    step = prediction.grid[1] - prediction.grid[0]
    if not prediction.is_conclusive:
        return (
            f"The likeliest offset and its neighbors hold {prediction.near * 100:.0f} % of the probability; "
            "an answer needs at least half. Try another start."
        )
    if prediction.applied_offset:
        return f"Measured {prediction.offset:+.1f} s, of which you added {prediction.applied_offset:+.2f} s."
    if prediction.offset == 0:
        return f"One bar is {step:.1g} s wide: an offset smaller than half of that would not show."
    when = "before the picture shows it" if prediction.offset > 0 else "after the picture showed it"
    return f"What happens is heard about {abs(prediction.offset):g} s {when}."


def timing(spent: Timing) -> str:
    """Seconds of each stage that ran; the picture is decoded and encoded only once for every start."""
    stages = {"decode": spent.decode, "picture": spent.video, "sound": spent.audio}
    stages["synchronization"] = spent.synchronization
    parts = [f"{name} {seconds:.2f} s" for name, seconds in stages.items() if seconds]
    return " · ".join(parts if spent.video else [*parts, "picture known from before"])
