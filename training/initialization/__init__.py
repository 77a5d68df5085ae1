"""The first values of parameters."""
