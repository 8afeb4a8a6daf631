"""What follows from the table of generation parameters in `core/params.py`."""
