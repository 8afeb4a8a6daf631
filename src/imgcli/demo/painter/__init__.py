"""The images that the demo paints."""
