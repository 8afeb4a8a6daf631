"""The official SDKs work against the demo's server, unchanged."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from PIL import Image

from beside import PATIENCE
from flatpaint import painted_flat
from imgcli.demo.server import DemoServer
from npm import npm_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL: dict[str, Any] = {"model": "gpt-image-2", "size": "816x816", "quality": "low"}
TOOL: Any = {"type": "image_generation", **SMALL, "partial_images": 1}
IMAGE_EVENTS = ["partial_image", "completed"]


@pytest.fixture
def demo() -> Iterator[DemoServer]:
    """A server that loses no time."""
    with painted_flat(), DemoServer(pace=0) as server:
        yield server


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A file of more than a megabyte, which is not sent in one piece."""
    path = tmp_path / "photo.png"
    Image.effect_noise((1200, 1200), 90).save(path, compress_level=0)
    return path


def test_python(demo: DemoServer, photo: Path) -> None:
    """OpenAI's client for Python streams a response, finds it again, streams images and edits a file."""
    with openai.OpenAI(base_url=demo.base_url, api_key="demo", max_retries=0) as client:
        with client.responses.create(
            model="gpt-6-luna",
            input="a fox",
            tools=[TOOL],
            tool_choice={"type": "image_generation"},
            stream=True,
        ) as stream:
            *events, last = list(stream)
        assert 1 == sum(event.type == "response.image_generation_call.partial_image" for event in events)
        assert last.type == "response.completed"
        call: Any = client.responses.retrieve(last.response.id).output[1]
        assert (816, 816) == Image.open(io.BytesIO(base64.b64decode(call.result))).size
        assert last.response.tool_usage
        assert last.response.tool_usage.image_gen.output_tokens > 200
        with client.images.generate(**SMALL, prompt="a fox", stream=True, partial_images=1) as images:
            assert [f"image_generation.{name}" for name in IMAGE_EVENTS] == [one.type for one in images]
        with (
            photo.open("rb") as file,
            client.images.edit(**SMALL, prompt="a hat", image=file, stream=True, partial_images=1) as edits,
        ):
            assert [f"image_edit.{name}" for name in IMAGE_EVENTS] == [one.type for one in edits]
        assert "gpt-image-2" in [model.id for model in client.models.list()]


def run_script(name: str, packages: Path, folder: Path, *args: str) -> dict[str, Any]:
    """Run one of our scripts beside these packages; return the JSON that it prints."""
    (folder / "node_modules").symlink_to(packages)
    script = folder / name
    script.write_bytes(Path(__file__).with_name(name).read_bytes())
    done = subprocess.run(
        ["node", script, *args], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


@pytest.mark.slow
def test_node(demo: DemoServer, photo: Path, tmp_path: Path) -> None:
    """OpenAI's client for Node.js does the same; it sends the file in chunks, without its length."""
    seen = run_script("openai_client.mjs", npm_packages("openai@7.59.0"), tmp_path, demo.base_url, str(photo))
    assert "response.image_generation_call.partial_image" in seen["response"]
    assert "response.completed" == seen["response"][-1]
    assert ["completed", ["reasoning", "image_generation_call", "message"]] == seen["retrieved"]
    assert [f"image_generation.{name}" for name in IMAGE_EVENTS] == seen["generated"]
    assert [f"image_edit.{name}" for name in IMAGE_EVENTS] == seen["edited"]
    assert "gpt-image-2" in seen["models"]


@pytest.mark.slow
def test_vercel(demo: DemoServer, tmp_path: Path) -> None:
    """Vercel's AI SDK generates an image, and streams a response with the image tool: partial and final."""
    packages = npm_packages("ai@7.0.173", "@ai-sdk/openai@4.0.118")
    seen = run_script("ai_client.mjs", packages, tmp_path, demo.base_url)
    kind, size = seen["image"]
    assert "image/png" == kind
    assert size > 100
    png = base64.b64encode(b"\x89PNG\r\n").decode()
    assert 2 == len(seen["results"])
    assert all(result.startswith(png[:6]) for result in seen["results"])
