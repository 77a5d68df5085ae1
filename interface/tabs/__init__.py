"""The parts of the page: what visitors see and press."""
