"""The answer that is tested: the sound is moved over known shifts, and what the answers agree on is the offset."""
