"""Generate images from a terminal and watch them arrive."""

__version__ = "0.1.0"
