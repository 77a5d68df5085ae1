"""Names that several commands take: stages, baselines, and what can be exported."""

from __future__ import annotations

from typing import Literal, get_args

Stage = Literal["unimodal", "avclip", "sync", "baseline", "synchronizability"]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""In the order in which they are trained."""

Exported = Literal["avclip", "sync", "synchronizability", "baseline"]

BaselineKind = Literal["avst", "sparsesync"]
BASELINE_KINDS: tuple[BaselineKind, ...] = get_args(BaselineKind)
"""What Synchformer is compared with in table 1."""
