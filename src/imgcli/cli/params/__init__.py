"""Declarations of options that several commands share."""
