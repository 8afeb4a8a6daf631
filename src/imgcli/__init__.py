"""Generate images from a terminal and watch them arrive."""
