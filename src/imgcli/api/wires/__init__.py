"""One module per API: request body, events, usage."""
