"""The networks: encoders of segments, the synchronization module, and Synchformer as a whole (figure 1)."""
