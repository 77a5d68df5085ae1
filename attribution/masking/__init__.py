"""What is masked: units of time, random masks over them, and the distractors that fill them."""
