"""One clip's offset, finer than a class."""

from __future__ import annotations

from synchformer.config import SynchformerConfig
from synchformer.tools.windows import Plan

HOP = 21  # frames between windows: no multiple of the segments' stride of 8, so that every phase between them occurs


def fine_plan(config: SynchformerConfig) -> Plan:
    """Windows at every phase of the segments, under shifts by whole strides over the model's range."""
    stride = config.segment_stride
    reach = round(config.max_offset * config.video_fps) // stride * stride
    return Plan(hop=HOP, shifts=tuple(range(-reach, reach + 1, stride)))
