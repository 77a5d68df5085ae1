"""What follows from an offset: finer than a class, over a whole film, corrected files, scores of data sets.

| module | noun |
|---|---|
| `windows` | the distributions of sliding windows under known shifts of the sound, in bounded memory |
| `response`, `posterior` | from those distributions to a continuous offset with an interval |
| `calibration` | the constants of both, measured for one model |
| `fine`, `verdict` | one offset for a clip, and what broadcast recommendations say about it |
| `scan`, `timeline`, `cuts` | the offset over time: constant, drift, or jumps |
| `repair`, `stretch` | a corrected file |
| `batch`, `table`, `reliability` | folders of clips, a row each; a probability of being in sync that means something |
| `desync`, `resampling` | DeSync as others define it, with intervals |
| `picture` | figures |
"""
