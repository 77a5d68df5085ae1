"""Where the model runs, and what is asked of it there."""
