"""The answer that is tested: the sound is moved over known shifts, and what the answers agree on is the offset.

>>> from synchformer import load_model
>>> from synchformer.consensus import ask_tested
>>> print(ask_tested(load_model("mini"), "clip.mp4").consensus.sentence)

| module | what it is |
|---|---|
| `answers` | what a model answers under known shifts, at up to three starts |
| `support`, `features` | how far these answers agree on an offset, beside what chance would give |
| `consensus`, `constants` | the tested answer: an offset, or that the model does not know, at a measured threshold |
| `shared` | whether a synchronizability model finds nothing that picture and sound share |
| `batch` | folders of clips, a row each; a probability of being in sync that means something |
"""

from synchformer.consensus.batch import predict_folder, write_table
from synchformer.consensus.consensus import Consensus, Tested, ask_tested

__all__ = ["Consensus", "Tested", "ask_tested", "predict_folder", "write_table"]
