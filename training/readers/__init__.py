"""Clips as tensors: pixels and sound from files or from memory, or features computed once."""
