"""From thousands of masked decisions to a value and an interval for each unit."""
