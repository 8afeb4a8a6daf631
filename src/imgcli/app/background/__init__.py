"""Runs that the server makes in the background, and that go on without imgcli."""
