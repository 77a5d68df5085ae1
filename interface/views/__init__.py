"""What is shown: cards, timelines and figures as plain values."""
