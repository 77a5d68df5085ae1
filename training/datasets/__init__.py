"""What is on disk, or generated: samples, their splits, and whether they can be used."""
