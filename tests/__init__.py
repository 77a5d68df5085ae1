"""Tests, in the order of the code they test; `support/` holds what they share."""
