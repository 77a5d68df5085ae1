"""The constants of continuous offsets, measured on generated clips."""
