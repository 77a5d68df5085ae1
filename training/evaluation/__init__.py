"""What came out: accuracy under the published protocols, and its pictures."""
