"""What goes to disk, and how it survives."""
