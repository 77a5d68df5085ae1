"""Clips as tensors: pixels and samples from files or from memory, or features computed once."""
