"""How an image gets its name and reaches the disk."""
