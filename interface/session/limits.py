"""The limits of what visitors and programs may ask for: page, link and endpoint take them from here, so they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float

    @property
    def bounds(self) -> dict[str, Any]:
        """As gradio's sliders and number fields take them."""
        return {"minimum": self.low, "maximum": self.high}

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high  # not for NaN


# An attribution; what else `attribution.settings.Settings` allows is for the command line.
MASKS = Range(100, 20_000)  # per curve
UNIT_SECONDS = Range(0.02, 1)  # of a moment that is hidden together
KEEP = Range(0.05, 0.95)  # probability that a moment is kept
TOLERANCE = Range(0, 0.5)  # width of an interval; 0 draws all masks
SMOOTH = Range(0, 0.5)  # s on either side over which curves are averaged
SEED = Range(0, 2**32 - 1)
REFERENCES = ("prediction", "applied")  # what counts as correct
MAX_COMPARED_MASKS = 2000  # per curve: a comparison is a look, and both sides take their time
MAX_ATTRIBUTION_SECONDS = 600.0  # after which an endpoint ends an attribution with what it has

# Offsets of a crop: how far they reach is the model's affair, see `Models.max_offset`.
SLIDER_STEP = 0.04  # s, of start and offset: one frame at 25 fps
MAX_SWEEP_OFFSETS = 101
MAX_OFFSETS_AHEAD = 1001  # in one request

# A film
WINDOW_DISTANCE = Range(0.32, 60)  # s; one stride of the segments, at least
REACH = Range(0, 10)  # s searched beyond the model's own range
CORRECTION = Range(-60, 60)  # s by which a file's sound may be moved

# A file
MAX_UPLOAD_BYTES = 2**30
MAX_FRAME_PIXELS = 2**26  # 8192 x 8192
