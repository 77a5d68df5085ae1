"""From a masked clip to logits, and from logits to whether the decision stands."""
