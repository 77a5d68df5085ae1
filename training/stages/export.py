"""Put the encoders and the module of a run into one file of weights."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from synchformer.checkpoints.registry import save_model
from synchformer.config import SynchformerConfig
from training.baselines.model import Baseline, save_baseline
from training.config.names import Exported
from training.stages.assemble import assemble, assemble_avclip, stage_state
from training.stages.baseline import assemble_baseline


def export_model(out: Path, config: SynchformerConfig, target: Path, stage: Exported = "sync") -> str:
    """Write `target` as safetensors in half precision; training-only heads are left out.

    Args:
        out: folder of the run.
        config: sizes, with the offset head; a baseline's are those of its own record.
        target: the file, replaced when it exists.
        stage: whose module to write, with the encoders that it was trained on; of stage I, which has no module, those.

    Returns:
        A sentence with the file's size.

    Raises:
        FileNotFoundError: when a stage that is needed was not run.
    """
    if stage == "baseline":
        save_baseline(_baseline(out).half(), target, _history(out))
    elif stage == "avclip":
        save_model(assemble_avclip(out, config).half(), target, _history(out))
    else:
        save_model(assemble(out, config, stage).half(), target, _history(out))
    return f"{target}: {target.stat().st_size / 1e6:.1f} MB"


def _baseline(out: Path) -> Baseline:
    state = stage_state(out, "baseline")
    if state is None:
        raise FileNotFoundError(f"{out / 'baseline'} holds no state; run the stage baseline with the same --out first")
    return assemble_baseline(state, out / "baseline")


def _history(out: Path) -> dict[str, str]:
    """Steps of every stage that was run in the folder."""
    states = {stage: stage_state(out, stage) for stage in get_args(Exported)}
    return {f"{stage}_steps": str(state["step"]) for stage, state in states.items() if state is not None}
