"""What the terminal can do, and how to write to it."""
