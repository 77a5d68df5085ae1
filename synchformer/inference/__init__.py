"""Running a model on media: the engine, one clip, one picture under many offsets, a window sliding over a film."""
