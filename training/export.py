"""Put the encoders of stage I and the synchronization module of stage II into one file of weights."""

from __future__ import annotations

from pathlib import Path

import torch

from synchformer.checkpoint import save_model
from synchformer.config import SynchformerConfig
from synchformer.model import Synchformer
from training.state import load_state

STAGE1 = "avclip."
STAGE2 = "synchronizer."


def export_model(out: Path, config: SynchformerConfig, target: Path) -> str:
    """Write `target` as safetensors in half precision; training-only heads are left out.

    Returns:
        A sentence with the file's size.

    Raises:
        FileNotFoundError: when stage I or stage II has no state in `out`.
    """
    model = Synchformer(config)
    states = {name: load_state(out / name / "state.pt") for name in ("avclip", "sync")}
    missing = [name for name, state in states.items() if state is None]
    if missing:
        raise FileNotFoundError(f"{out} holds no state of {' and '.join(missing)}; run these stages first")
    first, second = (state["model"] for state in states.values() if state is not None)
    weights = {
        name: value
        for prefix, state in ((STAGE1, first), (STAGE2, second))
        for name, value in _named(state, prefix).items()
    }
    model.load_state_dict(weights)
    save_model(model.to(torch.float16), target, _history(states))
    return f"{target}: {target.stat().st_size / 1e6:.1f} MB"


def _named(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The part of a stage's state that the model keeps, by the model's names."""
    if prefix == STAGE2:
        return {name: value for name, value in state.items() if name.startswith(STAGE2)}
    kept = (f"{STAGE1}video_encoder.", f"{STAGE1}audio_encoder.")
    return {name.removeprefix(STAGE1): value for name, value in state.items() if name.startswith(kept)}


def _history(states: dict[str, dict[str, object] | None]) -> dict[str, str]:
    return {f"{name}_steps": str(state["step"]) for name, state in states.items() if state is not None}
