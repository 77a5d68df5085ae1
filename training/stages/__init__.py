"""What each stage learns, and how it is built from the stages before it."""
