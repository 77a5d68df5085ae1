"""What a model has seen in training, in one line beside each of its answers."""

from __future__ import annotations

from pathlib import Path

from synchformer.checkpoints.registry import CHECKPOINTS, read_notes

SEEN = "seen"  # the note in a file of weights that says it in words
GENERATED = "generated clips"


def experience(name_or_path: str | Path) -> str:
    """What a checkpoint has seen: as its file's notes say, else what is known of it by name.

    The data that an embedded checkpoint was trained on come from the file of weights where it says so.
    """
    notes = read_notes(name_or_path)
    name = Path(name_or_path).name
    if SEEN in notes:
        return f"{name} has seen {notes[SEEN]}."
    data = notes.get("data", "")
    if data == GENERATED and _is_embedded(name_or_path):
        return f"{name} has only ever seen {GENERATED}: of recorded video it may understand little."
    if data:
        return f"{name} was trained on {data}."
    return f"{name}: the file does not say what this model was trained on."


def _is_embedded(name_or_path: str | Path) -> bool:
    known = CHECKPOINTS.get(str(name_or_path))
    return known is not None and not known.sources
