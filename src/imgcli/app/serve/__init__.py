"""What `serve` does: runs for web clients, and what they may look at."""
