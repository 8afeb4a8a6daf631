"""The structure of image files, format by format; nothing is decoded."""
