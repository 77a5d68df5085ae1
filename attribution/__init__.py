"""Which moments made the model decide: Monte-Carlo masking with distractors (section 4.1), with honest intervals.

>>> from attribution import Settings, attribute, load_bank
>>> found = attribute(model, clip, load_bank(model), Settings(samples=2000))
>>> print(found.sentence)
>>> found.save("evidence")
"""

from attribution.masking.distractors import Bank, Distractor, load_bank
from attribution.result import Attribution, Curve
from attribution.sampling_loop import attribute, stream
from attribution.settings import Settings

__all__ = ["Attribution", "Bank", "Curve", "Distractor", "Settings", "attribute", "load_bank", "stream"]
