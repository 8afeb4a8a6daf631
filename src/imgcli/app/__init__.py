"""What commands do, without flags: prepare, execute, report."""
