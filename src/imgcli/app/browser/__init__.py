"""What is made of the history for a browser."""
