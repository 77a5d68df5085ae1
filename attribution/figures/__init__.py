"""One description of the attribution figure, and the two libraries that draw it."""
