"""The client that everybody writes first: the SDK's own loop, then `open` and `write`.

It is here to be caught: a harness that lets it pass proves nothing.
"""

from __future__ import annotations

import argparse
import base64
import os
import sys


def main() -> None:
    """Generate one image the naive way."""
    from openai import OpenAI

    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("prompt")
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("-o", "--output", default="a-cat.png")
    told = parser.parse_args()
    client = OpenAI(api_key=os.environ["OPENAI_API_KEY"], timeout=told.timeout)
    stream = client.responses.create(
        model="gpt-4o-mini", input=told.prompt, tools=[{"type": "image_generation"}], stream=True
    )
    for event in stream:
        print(event.type, file=sys.stderr)  # noqa: T201 - likewise
        if event.type == "response.output_item.done" and event.item.type == "image_generation_call":
            with open(told.output, "wb") as file:  # noqa: PTH123 - as everybody writes it
                file.write(base64.b64decode(event.item.result or ""))
            print(os.path.abspath(told.output))  # noqa: PTH100, T201 - likewise


if __name__ == "__main__":
    main()
