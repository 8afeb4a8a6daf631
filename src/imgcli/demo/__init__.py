"""An offline look-alike of OpenAI, on loopback; it imports nothing of the rest of imgcli."""
