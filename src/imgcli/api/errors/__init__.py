"""What went wrong, in our terms: answers of the server, exceptions of the HTTP library."""
