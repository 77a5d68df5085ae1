"""Weights: by name, from files, downloaded, and what tells one set of them from another."""
