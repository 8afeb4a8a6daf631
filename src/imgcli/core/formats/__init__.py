"""Encoded images: how each format is laid out, chunk by chunk; nothing is decoded here."""
