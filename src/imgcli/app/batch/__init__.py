"""A batch: its plan, its run, what is known of it."""
