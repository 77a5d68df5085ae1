"""Copies of files that differ from them in nothing but the place of the sound, and the comparison that proves it."""
