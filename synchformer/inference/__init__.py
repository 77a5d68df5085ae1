"""Running a model on media: one clip, one picture under many offsets, a window sliding over a film."""
