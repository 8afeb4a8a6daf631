"""The wiring: the only place that knows Typer and flags."""
