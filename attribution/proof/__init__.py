"""Is the attribution right? Figures of merit where the truth is known, and other methods on the same units."""
