"""What Synchformer is compared with (table 1): AVST- and SparseSync-style models in the same harness."""
