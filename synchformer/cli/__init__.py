"""The command line of `python -m synchformer`, a file per command; torch is imported when a command runs."""

from synchformer.cli.command_line import main

__all__ = ["main"]
