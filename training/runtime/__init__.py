"""How work runs: processes, batches made ahead, several machines, arrays on disk."""
