"""An offline look-alike of OpenAI's image endpoints."""
