"""The money of runs: limits before they are sent, what a day has left, and which prices count."""
