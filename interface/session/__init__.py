"""What visitors opened, which models are loaded, what runs for whom."""
