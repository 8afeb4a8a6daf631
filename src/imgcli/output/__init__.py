"""What people and programs see: images in the terminal, tables, JSON lines."""
