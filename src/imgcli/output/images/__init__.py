"""Images as terminal rows: one module per renderer."""
