"""Defaults from files, profiles and the environment."""
