"""Random changes of picture and sound."""
