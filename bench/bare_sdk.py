"""The script that imgcli is measured against: the SDK alone streams, decodes, writes.

Usage: bare_sdk.py OUTPUT, with OPENAI_BASE_URL and OPENAI_API_KEY set.
"""

import base64
import sys
from pathlib import Path

from openai import OpenAI

stream = OpenAI().responses.create(
    model="gpt-4o-mini",
    input="a cat",
    tools=[{"type": "image_generation", "partial_images": 3}],
    tool_choice={"type": "image_generation"},
    stream=True,
)
for event in stream:
    if event.type == "response.output_item.done" and event.item.type == "image_generation_call":
        Path(sys.argv[1]).write_bytes(base64.b64decode(event.item.result or ""))
