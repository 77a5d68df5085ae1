"""What may be asked of a training: the stage, the optimization, ablations, sizes."""
