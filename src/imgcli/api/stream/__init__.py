"""From bytes to events: server-sent events, whole answers, our own JSON lines."""
