"""The training loop and what it keeps: states, logs, the learning rate, signs of divergence."""
