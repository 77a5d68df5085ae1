"""Intervals, resampling and ranks: the numbers behind every figure."""
