"""The commands of `python -m synchformer`, a file each; torch is imported when a command runs, not before."""
