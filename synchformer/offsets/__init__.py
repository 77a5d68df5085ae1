"""What follows from an offset: finer than a class, over a whole film, corrected files, scores of data sets.

>>> from synchformer import load_model
>>> from synchformer.offsets import fine, fix, scan
>>> model = load_model("mini")
>>> print(fine(model, "clip.mp4").sentence)
>>> timeline = scan(model, "film.mkv", progress=lambda done, total: print(done, total))
>>> print(fix(model, "film.mkv", "fixed.mkv").sentence)

| module | what it is |
|---|---|
| `response`, `posterior` | from distributions under known shifts to a continuous offset with an interval |
| `calibration` | the constants of both, measured for one model |
| `continuous`, `broadcast_tolerances` | one offset for a clip, and what recommendations say about it |
| `scan`, `drift_or_jumps`, `timeline` | the offset over a whole video: constant, drifting, or jumping |
| `repair` | a corrected file |
| `desync` | DeSync as others define it, with intervals |
| `plots` | figures |
"""

from synchformer.offsets.broadcast_tolerances import Verdict, check_tolerances
from synchformer.offsets.continuous import FineEstimate, fine
from synchformer.offsets.desync import DesyncReport, desync, pair_by_name, read_pairs
from synchformer.offsets.repair import RefusedError, Repair, fix
from synchformer.offsets.scan import scan
from synchformer.offsets.timeline import Timeline

__all__ = [
    "DesyncReport",
    "FineEstimate",
    "RefusedError",
    "Repair",
    "Timeline",
    "Verdict",
    "check_tolerances",
    "desync",
    "fine",
    "fix",
    "pair_by_name",
    "read_pairs",
    "scan",
]
