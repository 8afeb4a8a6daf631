from __future__ import annotations

import base64
import http.client
import io
import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import pairwise, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

import openai
import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from beside import PATIENCE, wait_for
from flatpaint import painted_flat
from imgcli.demo.exchange import EarlierAnswer, Sessions
from imgcli.demo.server import MOST_CONNECTIONS, DemoServer
from imgcli.demo.validation import size_fault
from tables import each

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from openai._types import FileTypes

    from conftest import Cli

SMALL = {"model": "gpt-image-2", "size": "816x816", "quality": "low"}
TOOL = {"type": "image_generation", **SMALL}
SVG = {"output_format": "svg", "model": "gpt-image-2.6-flare"}
SVG_TOOL = TOOL | SVG
FORCED = {"type": "image_generation"}
AUTH = {"Authorization": "Bearer demo", "Content-Type": "application/json"}


class Reply(NamedTuple):
    """A whole HTTP answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The `error` object of the body."""
        return self.json["error"]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a stream; each must have both its lines."""
        records = self.body.decode().split("\n\n")[:-1]
        pairs = [record.split("\n") for record in records]
        parsed = [json.loads(data.removeprefix("data: ")) for _, data in pairs]
        assert [f"event: {event['type']}" for event in parsed] == [name for name, _ in pairs]
        return parsed


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServer]:
    """A server without pauses, for all tests that only talk to it."""
    with DemoServer(pace=0) as server:
        yield server


@pytest.fixture
def real_painter() -> None:
    """Let a test that looks at the painting have one."""


@pytest.fixture(autouse=True)
def painter(request: pytest.FixtureRequest) -> Iterator[None]:
    """Paint flat: most of these tests are about valid answers."""
    with nullcontext() if "real_painter" in request.fixturenames else painted_flat():
        yield


@pytest.fixture(scope="module")
def client(demo: DemoServer) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, pointed at the server."""
    with openai.OpenAI(base_url=demo.base_url, api_key="demo", max_retries=0) as sdk:
        yield sdk


def ask(
    server: DemoServer, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> Reply:
    """One request and its whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request(method, f"/v1/{path}", data, AUTH if headers is None else headers)
    answer = connection.getresponse()
    reply = Reply(answer.status, answer.headers, answer.read())
    connection.close()
    return reply


def raw(server: DemoServer, request: bytes) -> bytes:
    """Bytes sent, bytes received until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
        sock.sendall(request)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received


def respond(server: DemoServer, **fields: object) -> Reply:
    """A request to the Responses API that forces a small image, changed by the given fields."""
    usual = {"model": "gpt-4o-mini", "input": "a fox", "tools": [TOOL], "tool_choice": FORCED}
    return ask(
        server, "POST", "responses", {key: value for key, value in (usual | fields).items() if value != "-"}
    )


def generate(server: DemoServer, **fields: object) -> Reply:
    """A request to the Images API for a small image, changed by the given fields."""
    body = {"prompt": "a fox", **SMALL, **fields}
    return ask(
        server, "POST", "images/generations", {key: value for key, value in body.items() if value != "-"}
    )


def opened(text: str) -> Image.Image:
    """The image in a base64 string, wholly decoded."""
    image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    image.load()
    return image


def png(size: tuple[int, int] = (64, 64), colour: tuple[int, ...] = (255, 0, 0)) -> bytes:
    """An image of one colour."""
    buffer = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def data_url(data: bytes) -> str:
    """A PNG as OpenAI takes it in JSON."""
    return "data:image/png;base64," + base64.b64encode(data).decode()


def reds(image: Image.Image) -> int:
    """Number of pixels that are red, but for the film grain."""
    red, green, blue = image.convert("RGB").split()
    bright = red.point([255 * (level > 245) for level in range(256)])
    coloured = ImageChops.lighter(green, blue).point([255 * (level < 10) for level in range(256)])
    return ImageChops.darker(bright, coloured).histogram()[255]


# ---- Responses API


def test_responses_stream_has_the_order_of_a_recorded_one(demo: DemoServer) -> None:
    """A streamed response sends OpenAI's events in OpenAI's order, counted from 0."""
    events = respond(demo, stream=True, tools=[{**TOOL, "partial_images": 2}]).events
    expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.generating",
        "response.image_generation_call.partial_image",
        "response.image_generation_call.partial_image",
        "response.image_generation_call.completed",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert expected == [event["type"] for event in events]
    assert list(range(len(events))) == [event["sequence_number"] for event in events]


def test_responses_stream_events_carry_their_fields(demo: DemoServer) -> None:
    """Partials say their index and format, and the final image comes with the finished item, not before."""
    events = respond(demo, stream=True, tools=[{**TOOL, "partial_images": 1}]).events
    by_type = {event["type"]: event for event in events}
    partial = by_type["response.image_generation_call.partial_image"]
    added, done = events[2]["item"], events[7]["item"]
    assert {"id": added["id"], "type": "image_generation_call", "status": "in_progress"} == added
    assert (0, 0, added["id"]) == (
        partial["partial_image_index"],
        partial["output_index"],
        partial["item_id"],
    )
    assert ("816x816", "low", "opaque", "png") == tuple(
        partial[key] for key in ("size", "quality", "background", "output_format")
    )
    assert {"type", "sequence_number", "output_index", "item_id"} == set(
        by_type["response.image_generation_call.completed"]
    )
    assert ("completed", "generate", "a fox") == (done["status"], done["action"], done["revised_prompt"])
    assert (816, 816) == opened(partial["partial_image_b64"]).size == opened(done["result"]).size


def test_responses_completed_repeats_the_output(demo: DemoServer) -> None:
    """The last event repeats the whole output, with the image and both kinds of usage."""
    events = respond(demo, stream=True, tools=[{**TOOL, "partial_images": 3}]).events
    first, last = events[0]["response"], events[-1]["response"]
    assert ("in_progress", [], None) == (first["status"], first["output"], first["usage"])
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert ("completed", done) == (last["status"], last["output"])
    spent = last["tool_usage"]["image_gen"]
    base = round(196 * 816 * 816 / 1024**2)
    assert base + 300 == spent["output_tokens"]
    assert spent["input_tokens"] + spent["output_tokens"] == spent["total_tokens"]
    assert {"num_requests": 0} == last["tool_usage"]["web_search"]
    assert last["usage"]["input_tokens"] + last["usage"]["output_tokens"] == last["usage"]["total_tokens"]
    assert first["id"] == last["id"]
    assert last["id"].startswith("resp_")
    assert ["ig_", "msg"] == [item["id"][:3] for item in last["output"]]


def test_tools_are_echoed_with_defaults(demo: DemoServer) -> None:
    """The response repeats the tool with OpenAI's defaults filled in, an n of 1 among them."""
    tool = respond(demo).json["tools"][0]
    expected = {"type": "image_generation", "n": 1, "background": "auto", "output_format": "png"} | SMALL
    assert expected == {key: tool[key] for key in expected}


def test_reasoning_models_reason_first(demo: DemoServer) -> None:
    """With a reasoning model the image is the second item, so clients cannot count on index 0."""
    output = respond(demo, model="gpt-6-luna").json["output"]
    assert ["reasoning", "image_generation_call", "message"] == [item["type"] for item in output]


def test_responses_without_streaming(demo: DemoServer) -> None:
    """Without streaming the answer is one JSON body with the image in it."""
    reply = respond(demo)
    assert (200, "application/json") == (reply.status, reply.headers["content-type"])
    assert "response" == reply.json["object"]
    assert (816, 816) == opened(reply.json["output"][0]["result"]).size


@pytest.mark.parametrize("fields", [{"tools": "-", "tool_choice": "-"}, {"tool_choice": "none"}])
def test_answers_in_words_without_the_tool(demo: DemoServer, fields: dict[str, object]) -> None:
    """Without the tool, or forbidden to use it, the model answers in words and spends no image tokens."""
    events = respond(demo, stream=True, **fields).events
    output = events[-1]["response"]["output"]
    assert ["message"] == [item["type"] for item in output]
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert len(deltas) > 3
    assert "".join(deltas) == output[0]["content"][0]["text"]
    assert 0 == events[-1]["response"]["tool_usage"]["image_gen"]["total_tokens"]


def test_forcing_a_tool_that_is_not_there(demo: DemoServer) -> None:
    """A forced tool must be among the tools."""
    reply = respond(demo, tools=[])
    assert (400, "tool_choice") == (reply.status, reply.error["param"])
    assert "Tool choice 'image_generation' not found in 'tools' parameter." == reply.error["message"]


@pytest.mark.usefixtures("real_painter")
def test_input_images_make_an_edit(demo: DemoServer) -> None:
    """An image in the input is edited: it shows in the result and is counted as input."""
    parts = [
        {"type": "input_text", "text": "put a hat on it"},
        {"type": "input_image", "image_url": data_url(png((256, 256)))},
    ]
    body = respond(demo, input=[{"role": "user", "content": parts}]).json
    call = body["output"][0]
    assert ("edit", "put a hat on it") == (call["action"], call["revised_prompt"])
    assert 64 == body["tool_usage"]["image_gen"]["input_tokens_details"]["image_tokens"]
    assert reds(opened(call["result"])) > 50_000


@pytest.mark.usefixtures("real_painter")
def test_input_image_mask(demo: DemoServer) -> None:
    """A mask keeps the reference where it is opaque and paints anew where it is transparent."""
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 32, 64))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    content = [{"type": "input_image", "image_url": data_url(png())}]
    tool = {**TOOL, "input_image_mask": {"image_url": data_url(buffer.getvalue())}}
    said: list[dict[str, object]] = [{"role": "user", "content": content}, {"role": "user", "content": "sky"}]
    image = opened(respond(demo, input=said, tools=[tool]).json["output"][0]["result"]).convert("RGB")
    kept, painted = image.crop((600, 100, 700, 200)), image.crop((100, 100, 200, 200))
    assert 10_000 == reds(kept)
    assert 0 == reds(painted)


def test_a_conversation_goes_on(demo: DemoServer) -> None:
    """`previous_response_id` continues a conversation: the next answer is an edit, and another image."""
    first = respond(demo).json
    second = respond(demo, input="now at night", previous_response_id=first["id"]).json
    assert (first["id"], "edit") == (second["previous_response_id"], second["output"][0]["action"])


@pytest.mark.usefixtures("real_painter")
def test_a_conversation_keeps_its_scene(demo: DemoServer) -> None:
    """Later turns are other images of the first one's scene, whatever seeds they get."""
    first = respond(demo).json
    second = respond(demo, input="now at night", previous_response_id=first["id"]).json
    named = [{"type": "image_generation_call", "id": second["output"][0]["id"]}]
    third = respond(demo, input=[*named, {"role": "user", "content": "now at night"}]).json
    images = [body["output"][0]["result"] for body in (first, second, third)]
    assert 3 == len(set(images))
    greys = [ImageOps.equalize(opened(image).convert("L").resize((64, 64))) for image in images]
    away = [ImageStat.Stat(ImageChops.difference(greys[0], grey)).mean[0] for grey in greys[1:]]
    assert max(away) < 35  # of other scenes it is 50


def test_a_image_can_be_named_by_its_id(demo: DemoServer) -> None:
    """An earlier image can be put into the input by its id alone."""
    first = respond(demo).json["output"][0]["id"]
    said = [{"role": "user", "content": "bluer"}, {"type": "image_generation_call", "id": first}]
    assert "edit" == respond(demo, input=said).json["output"][0]["action"]


def test_unknown_previous_response(demo: DemoServer) -> None:
    """A response that is not known, or was not stored, cannot be continued."""
    unstored = respond(demo, store=False).json["id"]
    for key in ("resp_0", unstored):
        reply = respond(demo, previous_response_id=key)
        expected = (400, "previous_response_not_found", f"Previous response with id '{key}' not found.")
        assert expected == (reply.status, reply.error["code"], reply.error["message"])


def test_unknown_item(demo: DemoServer) -> None:
    """An item that is not known is a 404."""
    said = [{"role": "user", "content": "bluer"}, {"type": "image_generation_call", "id": "ig_0"}]
    assert 404 == respond(demo, input=said).status


def test_memory_is_bounded() -> None:
    """The server forgets the conversation that was not used for longest."""
    memory = Sessions(limit=2)
    past = EarlierAnswer(1, "a fox", 0, painted=True)
    for key in ("a", "b"):
        memory.keep(key, past)
    memory.response("a")
    memory.keep("c", past)
    assert past == memory.response("a")
    with pytest.raises(Exception, match="'b' not found"):
        memory.response("b")


@each(
    ("fields", "code", "param"),
    [
        ({"input": "-"}, "missing_required_parameter", "input"),
        ({"input": ""}, "string_below_min_length", "input"),
        ({"input": []}, "string_below_min_length", "input"),
        ({"input": 7}, "invalid_type", "input"),
        ({"input": ["a fox"]}, "invalid_type", "input[0]"),
        ({"input": [{"role": "cook", "content": "x"}]}, "invalid_value", "input[0].role"),
        (
            {"input": [{"role": "user", "content": [{"type": "text"}]}]},
            "invalid_value",
            "input[0].content[0].type",
        ),
        ({"model": "-"}, "missing_required_parameter", "model"),
        ({"model": "gpt-7"}, "model_not_found", "model"),
        ({"model": "gpt-4"}, "model_not_found", "model"),
        ({"model": "gpt-image-2"}, None, "model"),
        ({"colour": "red"}, "unknown_parameter", "colour"),
        ({"stream": "yes"}, "invalid_type", "stream"),
        ({"background": True, "store": False}, "invalid_value", "store"),
        ({"background_options": []}, "invalid_type", "background_options"),
        (
            {"background": True, "background_options": {"completion_window": "3h"}},
            "invalid_value",
            "background_options.completion_window",
        ),
        (
            {"background_options": {"completion_window": "2h"}},
            "invalid_value",
            "background_options.completion_window",
        ),
        ({"tools": {}}, "invalid_type", "tools"),
        ({"tools": [{}]}, "missing_required_parameter", "tools[0].type"),
        ({"tools": [{"type": "hammer"}]}, "invalid_value", "tools[0].type"),
        ({"tool_choice": "perhaps"}, "invalid_value", "tool_choice"),
        ({"tools": [TOOL | {"n": 2}]}, "unknown_parameter", "tools[0].n"),
        ({"tools": [TOOL | {"size": "512x512"}]}, "invalid_value", "tools[0].size"),
        ({"tools": [TOOL | {"quality": "max"}]}, "invalid_value", "tools[0].quality"),
        ({"tools": [TOOL | {"model": "gpt-image-1"}]}, "model_not_found", "tools[0].model"),
        ({"tools": [TOOL | {"model": "gpt-4o"}]}, "invalid_value", "tools[0].model"),
        ({"tools": [TOOL | {"partial_images": 4}]}, "integer_above_max_value", "tools[0].partial_images"),
        ({"tools": [TOOL | {"partial_images": 1}]}, "invalid_value", "tools[0].partial_images"),
        ({"tools": [TOOL | {"action": "edit"}]}, "invalid_value", "tools[0].action"),
        ({"tools": [TOOL | {"output_format": "svg"}]}, "invalid_value", "tools[0].output_format"),
        ({"tools": [SVG_TOOL | {"partial_images": 1}]}, "invalid_value", "tools[0].partial_images"),
        ({"tools": [SVG_TOOL | {"output_compression": 1}]}, "invalid_value", "tools[0].output_compression"),
        ({"tools": [SVG_TOOL | {"svg": {"model": "dall-e-3"}}]}, "model_not_found", "tools[0].svg.model"),
        (
            {"tools": [SVG_TOOL | {"svg": {"reasoning": {"effort": "low"}}}]},  # gpt-4o-mini writes it
            "unsupported_parameter",
            "tools[0].svg.reasoning.effort",
        ),
        ({"tools": [TOOL | {"complexity": "max"}]}, "invalid_value", "tools[0].complexity"),
        ({"tools": [TOOL | {"frame_count": 4}]}, "invalid_value", "tools[0].frame_count"),
        ({"tools": [TOOL | {"svg": {"model": "x"}}]}, "invalid_value", "tools[0].svg"),
        ({"tools": [TOOL | {"svg": 1}]}, "invalid_type", "tools[0].svg"),
        ({"tools": [TOOL | {"svg": {"size": 1}}]}, "unknown_parameter", "tools[0].svg.size"),
        (
            {"tools": [TOOL | {"svg": {"reasoning": {"effort": "huge"}}}]},
            "invalid_value",
            "tools[0].svg.reasoning.effort",
        ),
        ({"service_tier": "steam"}, "invalid_value", "service_tier"),
        ({"instructions": 1}, "invalid_type", "instructions"),
        ({"safety_identifier": "x" * 129}, "string_above_max_length", "safety_identifier"),
        ({"reasoning": {"effort": "low"}}, "unsupported_parameter", "reasoning.effort"),
        ({"reasoning": {"effort": "huge"}, "model": "gpt-6-luna"}, "invalid_value", "reasoning.effort"),
        ({"reasoning": "low"}, "invalid_type", "reasoning"),
        ({"tools": [TOOL | {"input_fidelity": "high"}]}, "invalid_input_fidelity_model", "input_fidelity"),
        ({"tools": [TOOL | {"input_image_mask": {"image_url": data_url(png())}}]}, "invalid_value", None),
    ],
)
def test_responses_refuses(demo: DemoServer, fields: dict[str, object], code: str, param: str | None) -> None:
    """A request that OpenAI would refuse is refused with 400, OpenAI's code, and the parameter at fault."""
    reply = respond(demo, **fields)
    assert (400, code) == (reply.status, reply.error["code"])
    assert {"message", "type", "param", "code"} == set(reply.error)
    assert param in {reply.error["param"], None}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://example.com/a.png", "failed_to_download_image"),
        ("data:image/png;base64,%%%", "invalid_base64_image"),
        ("data:image/png;base64,", "empty_image_file"),
        ("data:text/plain;base64,QUJD", "invalid_value"),
        ("file.png", "invalid_value"),
        (data_url(b"no image"), "invalid_image_file"),
        (data_url(png()[:-40]), "invalid_image_file"),
        (None, "invalid_type"),
    ],
)
def test_responses_refuses_images(demo: DemoServer, url: str | None, code: str) -> None:
    """An input image that cannot be read is refused, and never fetched from the network."""
    part = {"type": "input_image", "image_url": url}
    reply = respond(demo, input=[{"role": "user", "content": [part]}])
    assert (400, code) == (reply.status, reply.error["code"])


# ---- Images API


def test_images_stream(demo: DemoServer) -> None:
    """A streamed generation sends its partials, then the final image and the usage in one event."""
    events = generate(demo, stream=True, partial_images=3).events
    assert ["image_generation.partial_image"] * 3 + ["image_generation.completed"] == [
        e["type"] for e in events
    ]
    assert [0, 1, 2, None] == [event.get("partial_image_index") for event in events]
    assert [(816, 816)] * 4 == [opened(event["b64_json"]).size for event in events]
    assert 4 == len({event["b64_json"] for event in events})
    base = round(196 * 816 * 816 / 1024**2)
    assert base + 300 == events[-1]["usage"]["output_tokens"]
    assert not any("sequence_number" in event for event in events)


def test_images_without_streaming(demo: DemoServer) -> None:
    """Without streaming all n images, each another one, come in one JSON body with their usage."""
    body = generate(demo, n=2).json
    assert ("816x816", "low", "opaque", "png") == tuple(
        body[key] for key in ("size", "quality", "background", "output_format")
    )
    assert 2 == len({item["b64_json"] for item in body["data"]})
    assert 2 * round(196 * 816 * 816 / 1024**2) == body["usage"]["output_tokens"]


@pytest.mark.parametrize(
    ("chosen", "found"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("gif", "GIF")]
)
def test_formats(demo: DemoServer, chosen: str, found: str) -> None:
    """The bytes are of the format that was asked for."""
    body = generate(demo, output_format=chosen, model="gpt-image-2.6-flare").json
    assert found == opened(body["data"][0]["b64_json"]).format


@pytest.mark.parametrize(
    ("svg", "author", "reasoned"),
    [
        ({}, "gpt-6-luna", 1024),
        ({"svg": {"model": "gpt-5.5", "reasoning": {"effort": "high"}}}, "gpt-5.5", 4096),
        ({"svg": {"model": "gpt-4.1"}}, "gpt-4.1", 0),
    ],
)
def test_drawings(demo: DemoServer, svg: dict[str, object], author: str, reasoned: int) -> None:
    """An SVG is a drawing with the prompt in it; its author, by default the text model, has its usage."""
    item = respond(
        demo, input="a <fox> & \0 hounds", model="gpt-6-luna", tools=[SVG_TOOL | svg], tool_choice=FORCED
    ).json["output"][1]
    drawing = ET.fromstring(base64.b64decode(item["result"]))  # noqa: S314 - made by the demo itself
    assert ("816", "816") == (drawing.get("width"), drawing.get("height"))
    assert "a <fox> &   hounds" in [element.text for element in drawing]
    usage = item["svg_usage"]
    assert (author, reasoned) == (usage["model"], usage["reasoning_tokens"])
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_compression_of_a_png(demo: DemoServer) -> None:
    """A PNG may be asked for with its compression of 100, which changes nothing."""
    assert 200 == generate(demo, output_compression=100).status
    assert 200 == respond(demo, tools=[TOOL | {"output_compression": 100}]).status


@pytest.mark.usefixtures("real_painter")
def test_transparency(demo: DemoServer) -> None:
    """A transparent background is really transparent at the corners, and opaque in the middle."""
    body = generate(demo, background="transparent").json
    image = opened(body["data"][0]["b64_json"])
    assert ("transparent", "RGBA") == (body["background"], image.mode)
    assert ((0, 0, 0, 0), 255) == (image.getpixel((0, 0)), image.getchannel("A").getpixel((408, 408)))


def test_auto_is_a_square(demo: DemoServer) -> None:
    """Size auto is 1024x1024 and quality auto is resolved, in the image and in what is said about it."""
    body = generate(demo, size="auto", quality="auto").json
    assert ("1024x1024", "medium") == (body["size"], body["quality"])
    assert (1024, 1024) == opened(body["data"][0]["b64_json"]).size


@pytest.mark.usefixtures("real_painter")
def test_every_request_is_painted_anew(demo: DemoServer) -> None:
    """The same request gives another image each time, of the Responses API too."""
    assert 2 == len({generate(demo).json["data"][0]["b64_json"] for _ in range(2)})
    assert 2 == len({respond(demo).json["output"][0]["result"] for _ in range(2)})


@pytest.mark.usefixtures("real_painter")
def test_a_seed_repeats() -> None:
    """With a seed the same request gives the same bytes, another prompt or another seed others."""
    given = [(7, "a fox"), (7, "a fox"), (7, "an owl"), (8, "a fox")]
    first, again, *others = (painted(*one) for one in given)
    assert first == again
    assert 3 == len({first, *others})


def painted(seed: int, prompt: str) -> str:
    """Ask a server of its own for one image."""
    with DemoServer(pace=0, seed=seed) as server:
        return str(generate(server, prompt=prompt).json["data"][0]["b64_json"])


@each(
    ("fields", "status", "code", "param"),
    [
        ({"prompt": "-"}, 400, "missing_required_parameter", "prompt"),
        ({"prompt": " "}, 400, "string_below_min_length", "prompt"),
        ({"prompt": "x" * 32_001}, 400, "string_above_max_length", "prompt"),
        ({"prompt": ["a"]}, 400, "invalid_type", "prompt"),
        ({"model": "-"}, 400, "missing_required_parameter", "model"),
        ({"model": "gpt-image-9"}, 404, "model_not_found", "model"),
        ({"model": "dall-e-3"}, 404, "model_not_found", "model"),
        ({"model": "gpt-4o-mini"}, 400, "invalid_value", "model"),
        ({"response_format": "b64_json"}, 400, "unknown_parameter", "response_format"),
        ({"size": "tall"}, 400, "invalid_value", "size"),
        ({"size": "1000x1000"}, 400, "invalid_value", "size"),
        ({"size": "816x816", "model": "gpt-image-1.5"}, 400, "invalid_value", "size"),
        ({"quality": "hd"}, 400, "invalid_value", "quality"),
        ({"quality": "xhigh"}, 400, "invalid_value", "quality"),
        ({"output_format": "bmp"}, 400, "invalid_value", "output_format"),
        ({"output_format": "svg"}, 400, "invalid_value", "output_format"),
        ({"output_format": "gif"}, 400, "invalid_value", "output_format"),
        ({"output_compression": 99}, 400, "invalid_png_output_compression", "output_compression"),
        (
            {"output_compression": 100, "output_format": "gif", "model": "gpt-image-2.6-flare"},
            400,
            "invalid_value",
            "output_compression",
        ),
        (
            {"output_compression": 101, "output_format": "jpeg"},
            400,
            "integer_above_max_value",
            "output_compression",
        ),
        ({"background": "transparent", "output_format": "jpeg"}, 400, "invalid_value", "background"),
        ({"n": 0}, 400, "integer_below_min_value", "n"),
        ({"n": 11}, 400, "integer_above_max_value", "n"),
        ({"n": True}, 400, "invalid_type", "n"),
        ({"n": "2"}, 400, "invalid_type", "n"),
        ({"partial_images": -1, "stream": True}, 400, "integer_below_min_value", "partial_images"),
        ({"partial_images": 2}, 400, "invalid_value", "partial_images"),
        ({"frame_count": 4}, 400, "invalid_value", "frame_count"),
        ({"svg": {"reasoning": {"effort": "low"}}}, 400, "missing_required_parameter", "svg.model"),
        ({"svg": {"model": "gpt-6-luna"}}, 400, "invalid_value", "svg"),
        ({**SVG, "n": 2}, 400, "invalid_value", "n"),
        ({**SVG, "stream": True}, 400, "invalid_value", "stream"),
        ({"safety_identifier": "x" * 129}, 400, "string_above_max_length", "safety_identifier"),
        ({"service_tier": "flex"}, 400, "unknown_parameter", "service_tier"),
        (
            {"output_format": "gif", "model": "gpt-image-2.6-flare", "stream": True},
            400,
            "invalid_value",
            "stream",
        ),
    ],
)
def test_images_refuses(
    demo: DemoServer, fields: dict[str, object], status: int, code: str, param: str
) -> None:
    """A request that OpenAI would refuse is refused with its status, its code, and the parameter at fault."""
    reply = generate(demo, **fields)
    assert (status, code, param) == (reply.status, reply.error["code"], reply.error["param"])


@pytest.mark.parametrize(
    ("width", "height", "fault"),
    [
        (1024, 1024, None),
        (816, 816, None),
        (3840, 2160, None),
        (1440, 480, None),
        (1000, 1024, "divisible"),
        (3856, 2160, "edge"),
        (1456, 480, "ratio"),
        (800, 800, "pixels"),
        (3840, 3840, "pixels"),
    ],
)
def test_sizes(width: int, height: int, fault: str | None) -> None:
    """Sizes follow the guide's four rules, to the pixel."""
    assert (fault or "None") in str(size_fault(width, height))


# ---- Edits


@pytest.mark.usefixtures("real_painter")
def test_edit_through_the_sdk(client: openai.OpenAI) -> None:
    """The SDK's edit of one file works, and the image shows in the result."""
    result = client.images.edit(
        image=("cat.png", png((256, 256)), "image/png"),
        prompt="add a hat",
        extra_body=SMALL,
        model="gpt-image-2",
    )
    assert result.data
    assert result.usage
    assert result.usage.input_tokens_details.image_tokens == 64
    assert reds(opened(result.data[0].b64_json or "")) > 50_000


@pytest.mark.usefixtures("real_painter")
def test_edit_stream_of_several_files_with_a_mask(client: openai.OpenAI) -> None:
    """Several files and a mask can be edited as a stream, whose events have the names of an edit."""
    files = [("a.png", png(), "image/png"), ("b.png", png(colour=(0, 0, 255)), "image/png")]
    stream = client.images.edit(
        image=files,
        mask=("m.png", png(colour=(0, 0, 0, 0)), "image/png"),
        prompt="add a hat",
        model="gpt-image-2",
        size="816x816",
        quality="low",
        stream=True,
        partial_images=1,
    )
    with stream:
        assert ["image_edit.partial_image", "image_edit.completed"] == [event.type for event in stream]


CLEAR = (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("markup", "fields", "param"),
    [
        (png(colour=CLEAR), {}, None),
        (png(), {}, "markup"),
        (png((32, 32), CLEAR), {}, "markup"),
        (png(colour=CLEAR), {"mask": ("m.png", png(colour=CLEAR), "image/png")}, "markup"),
        (None, {"extra_body": {"svg": {"reasoning": {"effort": "huge"}}}}, "svg.reasoning.effort"),
    ],
)
def test_edit_with_markup(
    client: openai.OpenAI, markup: bytes | None, fields: dict[str, Any], param: str | None
) -> None:
    """A markup is a transparent image of the first one's size, without a mask; forms hold objects."""
    sent = {"image": ("x.png", png(), "image/png"), "prompt": "a hat", "model": "gpt-image-2"}
    if markup:
        sent["markup"] = ("m.png", markup, "image/png")
    if param is None:
        assert client.images.edit(**sent, **fields, size="1024x1024").data  # type: ignore[call-overload]
        return
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(**sent, **fields)  # type: ignore[call-overload]
    assert param == caught.value.param


@pytest.mark.usefixtures("real_painter")
def test_edit_as_json(demo: DemoServer) -> None:
    """An edit can be sent as JSON with data URLs."""
    body = {"prompt": "add a hat", **SMALL, "images": [{"image_url": data_url(png())}]}
    reply = ask(demo, "POST", "images/edits", body)
    assert (200, 1) == (reply.status, len(reply.json["data"]))


@pytest.mark.parametrize(
    ("image", "mask", "code"),
    [
        (("x", png()), None, "unsupported_file_mimetype"),
        (("x.png", b"", "image/png"), None, "empty_image_file"),
        (("x.png", b"no image", "image/png"), None, "invalid_image_file"),
        ([("x.png", png(), "image/png")] * 17, None, "array_above_max_length"),
        (("x.png", png(), "image/png"), png((32, 32), (0, 0, 0, 0)), "invalid_mask_image_format"),
        (("x.png", png(), "image/png"), png(), "invalid_mask_image_format"),
    ],
)
def test_edit_refuses(
    client: openai.OpenAI, image: FileTypes | list[FileTypes], mask: bytes | None, code: str
) -> None:
    """Files that are no images, too many of them, and masks that do not fit are refused."""
    told = openai.omit if mask is None else ("m.png", mask, "image/png")
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(image=image, mask=told, prompt="add a hat", model="gpt-image-2")
    assert code == caught.value.code


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nno end"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nno name\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b--\r\n"),
        ("text/plain", b"{}"),
        ("application/json", b'{"prompt": "x", "model": "gpt-image-2", "images": []}'),
        ("application/json", b'{"prompt": "x", "model": "gpt-image-2", "images": [7]}'),
    ],
)
def test_edit_refuses_bodies(demo: DemoServer, kind: str, body: bytes) -> None:
    """A broken form is a 400, never a dead server."""
    reply = ask(demo, "POST", "images/edits", body, AUTH | {"Content-Type": kind})
    assert (400, "invalid_request_error") == (reply.status, reply.error["type"])


# ---- the SDK's view


@pytest.mark.parametrize(
    ("model", "kind"), [("gpt-image-1", openai.NotFoundError), ("gpt-4o", openai.BadRequestError)]
)
def test_sdk_raises_its_own_errors(
    client: openai.OpenAI, model: str, kind: type[openai.APIStatusError]
) -> None:
    """OpenAI's own client turns refusals into its exceptions, with code, parameter and request id."""
    with pytest.raises(kind) as caught:
        client.images.generate(prompt="a fox", model=model)
    assert "model" == caught.value.param
    assert (caught.value.request_id or "").startswith("req_")


def test_models(client: openai.OpenAI) -> None:
    """The list of models says which are going to be shut down, and when."""
    dates = {model.id: model.shutdown_date for model in client.models.list()}
    assert ("2027-01-14", "2026-12-01", None) == tuple(
        dates[name] for name in ("gpt-4o-mini", "gpt-image-1-mini", "gpt-image-2.6-sunburst")
    )
    assert "gpt-image-1" not in dates
    assert "2026-12-11" == client.models.retrieve("gpt-5").shutdown_date
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-image-1")


def test_key_can_be_demanded() -> None:
    """With a key set, any other is refused as OpenAI does, and not repeated whole."""
    wrong = "sk-wrong-0123456789"
    with DemoServer(pace=0, api_key="right") as server:
        with openai.OpenAI(base_url=server.base_url, api_key="right", max_retries=0) as good:
            assert "gpt-5" == good.models.retrieve("gpt-5").id
        with (
            openai.OpenAI(base_url=server.base_url, api_key=wrong, max_retries=0) as bad,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            bad.models.list()
    assert "invalid_api_key" == caught.value.code
    assert wrong not in caught.value.message


# ---- HTTP


def test_headers_of_a_stream(demo: DemoServer) -> None:
    """A stream is declared as one, in chunks, with a request id and the time taken."""
    headers = generate(demo, stream=True).headers
    assert ("text/event-stream; charset=utf-8", "chunked") == (
        headers["content-type"],
        headers["transfer-encoding"],
    )
    assert headers["x-request-id"].startswith("req_")
    assert headers["openai-processing-ms"].isdigit()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing", 404),
        ("POST", "images", 404),
        ("POST", "images/variations", 404),
        ("POST", "../v1/responses", 404),
        ("GET", "models/../../etc/passwd", 404),
        ("GET", "responses", 405),
        ("DELETE", "images/edits", 405),
        ("POST", "models", 405),
        ("OPTIONS", "responses", 405),
        ("BREW", "responses", 405),
    ],
)
def test_wrong_places(demo: DemoServer, method: str, path: str, status: int) -> None:
    """An unknown path is a 404 and a wrong method a 405, in OpenAI's form; nothing invites web pages in."""
    reply = ask(demo, method, path)
    assert (status, "invalid_request_error") == (reply.status, reply.error["type"])
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"{} {}", b'{"n": NaN}', b"[" * 100_000])
def test_bodies_that_are_no_json_object(demo: DemoServer, body: bytes) -> None:
    """A body that is no JSON object is a 400 with OpenAI's advice."""
    reply = ask(demo, "POST", "responses", body)
    assert 400 == reply.status
    assert "could not parse the JSON body" in reply.error["message"]


@pytest.mark.parametrize("value", [None, "Basic ZGVtbzpkZW1v", "Bearer", "Bearer  "])
def test_key_is_needed(demo: DemoServer, value: str | None) -> None:
    """A request without a key is a 401."""
    headers = {} if value is None else {"Authorization": value}
    reply = ask(demo, "GET", "models", headers=headers)
    assert (401, "invalid_api_key") == (reply.status, reply.error["code"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.attacker.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "0.0.0.0:{port}"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_web_pages_are_refused(demo: DemoServer, headers: dict[str, str]) -> None:
    """Requests that a web page could make, by its own name or by rebinding one, are a 403."""
    told = {name: value.format(port=demo.port) for name, value in headers.items()}
    assert 403 == ask(demo, "GET", "models", headers=AUTH | told).status


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_local_names_are_welcome(demo: DemoServer, host: str) -> None:
    """The three names of this machine are accepted, from programs and from its own pages."""
    headers = AUTH | {"Host": f"{host}:{demo.port}", "Origin": f"http://{host}:{demo.port}"}
    assert 200 == ask(demo, "GET", "models", headers=headers).status


PROXIED = "images.example.com"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": PROXIED}, 200),
        ({"Host": f"{PROXIED.upper()}:8443", "Origin": f"https://{PROXIED}:8443"}, 200),
        ({"Host": "127.0.0.1:{port}", "Origin": f"https://{PROXIED}"}, 200),
        ({"Host": f"www.{PROXIED}"}, 403),
        ({"Host": f"{PROXIED}.attacker.example"}, 403),
        ({"Host": PROXIED, "Origin": "https://attacker.example"}, 403),
        ({"Host": PROXIED, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": f"x@{PROXIED}"}, 403),
        ({"Host": f"{PROXIED}:80:80"}, 403),
        ({"Host": f"{PROXIED}/x"}, 403),
        ({"Host": "["}, 403),
    ],
)
def test_an_allowed_host(headers: dict[str, str], status: int) -> None:
    """Behind a proxy the demo answers under the names that were allowed, and under no other."""
    with DemoServer(pace=0, hosts=[PROXIED]) as server:
        told = {name: value.format(port=server.port) for name, value in headers.items()}
        assert status == ask(server, "GET", "models", headers=AUTH | told).status


@pytest.mark.parametrize("name", ["", "http://a.example", "a.example:80", "*", "a\x1b[31m"])
def test_what_is_no_host(imgcli: Cli, name: str) -> None:
    """What cannot be a host name is refused before anything is served."""
    done = imgcli("demo-server", "--allow-host", name)
    assert (2, b"") == (done.exit_code, done.stdout)
    assert "is not a host name" in done.stderr
    assert "\x1b" not in done.stderr


def in_chunks(server: DemoServer, path: str, kind: str, pieces: Iterable[bytes]) -> Reply:
    """One request whose body comes in chunks, as clients send files whose length they do not know."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", f"/v1/{path}", pieces, AUTH | {"Content-Type": kind}, encode_chunked=True)
    answer = connection.getresponse()
    reply = Reply(answer.status, answer.headers, answer.read())
    connection.close()
    return reply


def test_a_body_in_chunks(demo: DemoServer) -> None:
    """A form may come in chunks, cut anywhere: the Node SDK sends files so. What it holds is as sent."""
    fields = {"prompt": "a hat", **SMALL}
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{fields[key]}\r\n' for key in fields
    ]
    parts.append('--b\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n')
    parts.append("Content-Type: image/png\r\n\r\n")
    body = "".join(parts).encode() + noise() + b"\r\n--b--\r\n"
    sizes = [0, 1, 2, 200, 1000, 70_000, 1_500_000, len(body)]
    pieces = [body[start:end] for start, end in pairwise(sizes)]
    reply = in_chunks(demo, "images/edits", "multipart/form-data; boundary=b", pieces)
    assert (200, 1024) == (reply.status, reply.json["usage"]["input_tokens_details"]["image_tokens"])


def noise() -> bytes:
    """An image of more than a megabyte."""
    buffer = io.BytesIO()
    Image.effect_noise((1024, 1024), 90).convert("RGB").save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def test_chunks_that_are_too_many(demo: DemoServer) -> None:
    """A body in chunks has the same limit as any other, and its client is told."""
    reply = in_chunks(demo, "responses", "application/json", repeat(b"x" * (1 << 20), 97))
    assert (413, "invalid_request_error") == (reply.status, reply.error["type"])
    assert "larger than 100663296 bytes" in reply.error["message"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 100663297", 413),
        (b"Content-Length: 99999999999999999999", 413),
        (b"Content-Length: -1", 400),
        (b"Content-Length: +2", 400),
        (b"Content-Length: 2\r\nContent-Length: 3", 400),
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked", 400),
        (b"Transfer-Encoding: gzip", 501),
        (b"Transfer-Encoding: chunked\r\n\r\nno number", 400),
        (b"X-Long: " + b"x" * 66_000, 431),
        (b"\r\n".join(b"X-%d: %s" % (number, b"x" * 1000) for number in range(70)), 431),
    ],
)
def test_framing_and_limits(demo: DemoServer, head: bytes, status: int) -> None:
    """Requests that are too large or could be read in two ways are refused, and the connection is closed."""
    request = b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n\r\n{}" % (demo.port, head)
    assert b"HTTP/1.1 %d " % status == raw(demo, request)[:13]


@pytest.mark.parametrize(
    "line", [b"\x16\x03\x01\x02\x00\r\n", b"GET\r\n\r\n", b"GET / HTTP/nine\r\n\r\n", b"\x00" * 99 + b"\r\n"]
)
def test_garbage_does_no_harm(demo: DemoServer, line: bytes) -> None:
    """A client that speaks no HTTP is hung up on, and the next one is served."""
    raw(demo, line)
    assert 200 == ask(demo, "GET", "models").status


def test_old_clients_get_a_bare_stream(demo: DemoServer) -> None:
    """An HTTP/1.0 client gets the events without chunks, up to the end of the connection."""
    body = json.dumps({"prompt": "a fox", **SMALL, "stream": True}).encode()
    head = b"POST /v1/images/generations HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer x\r\n"
    answer = raw(demo, head % demo.port + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    headers, _, events = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in headers
    assert events.startswith(b"event: image_generation.completed\ndata: {")


def test_connection_is_reused(demo: DemoServer) -> None:
    """One connection serves request after request, streams, errors and refusals of the key included."""
    connection = http.client.HTTPConnection("127.0.0.1", demo.port, timeout=60)
    body = json.dumps({"prompt": "a fox", **SMALL, "stream": True})
    statuses, sockets = [], set()
    for headers, sent in ((AUTH, body), ({}, body), (AUTH, "{"), (AUTH, body)):
        connection.request("POST", "/v1/images/generations", sent, headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
        sockets.add(connection.sock)
    connection.close()
    assert ([200, 401, 400, 200], 1) == (statuses, len(sockets))


def test_large_refused_body_still_gets_its_answer(demo: DemoServer) -> None:
    """A client that sends too much is told so after it has sent it, rather than being cut off."""
    reply = ask(demo, "POST", "responses", b"x" * (96 * 1024 * 1024 + 1))
    assert 413 == reply.status


def test_vanishing_clients_do_no_harm() -> None:
    """Clients that leave in the middle of a request or a stream cost nobody else anything."""
    lines: list[str] = []
    with DemoServer(pace=0, log=lines.append) as server:
        body = json.dumps({"prompt": "a fox", **SMALL, "stream": True, "partial_images": 3}).encode()
        head = b"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer x\r\n"
        head = head % server.port + b"Content-Length: %d\r\n\r\n" % len(body)
        for request in (head, head + body[:9], head + body):
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
                sock.sendall(request)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        assert 200 == ask(server, "GET", "models").status
    assert not [line for line in lines if "Traceback" in line]


@pytest.mark.parametrize("sent", [b"", b"GET /v1/mo", b"POST /v1/responses HTTP/1.1\r\nX: "])
def test_slow_clients_are_cut_off(sent: bytes) -> None:
    """A client that does not finish its request in time is hung up on, even while it keeps dripping."""
    with (
        DemoServer(pace=0, patience=0.2) as server,
        socket.create_connection(("127.0.0.1", server.port)) as sock,
    ):
        sock.settimeout(10)
        begun = time.monotonic()
        sock.sendall(sent)
        while time.monotonic() - begun < 60:
            try:
                sock.sendall(b"x")
                sock.settimeout(0.05)
                if sock.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - begun < 50


def test_too_many_connections() -> None:
    """Past the limit a client is told to come back later, and is served when others have left."""
    with DemoServer(pace=0) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(MOST_CONNECTIONS)]
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as late:
            assert late.recv(65536).startswith(b"HTTP/1.1 503 ")
        for sock in idle:
            sock.close()
        deadline = time.monotonic() + 60
        status = 0
        while status != 200 and time.monotonic() < deadline:
            try:
                status = ask(server, "GET", "models").status
            except OSError:
                status = 0
    assert 200 == status


# ---- life of the server


def test_binds_to_loopback_only(demo: DemoServer) -> None:
    """The server listens on 127.0.0.1 and says so in its URL."""
    assert f"http://127.0.0.1:{demo.port}/v1" == demo.base_url
    with socket.socket() as sock:
        sock.settimeout(1)
        assert 0 != sock.connect_ex(("127.0.0.2", demo.port))


def test_port_in_use(demo: DemoServer) -> None:
    """A port that is taken is an OSError at once, before anything is served."""
    with pytest.raises(OSError, match=r"[Aa]ddress"):
        DemoServer(port=demo.port)


def test_close_frees_the_port_and_ends_streams() -> None:
    """Closing does not wait for streams under way, frees the port, and may be repeated."""
    server = DemoServer(pace=100)
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = json.dumps({"prompt": "a fox", **SMALL, "stream": True})
    connection.request("POST", "/v1/images/generations", body, AUTH)
    answer = connection.getresponse()
    begun = time.monotonic()
    server.close()
    server.close()
    with pytest.raises((http.client.IncompleteRead, OSError)):
        answer.read()
    connection.close()
    assert time.monotonic() - begun < 50
    DemoServer(port=server.port).close()


def test_close_of_a_server_that_never_ran() -> None:
    """A server that was only made can be closed."""
    DemoServer().close()


def test_log_has_one_clean_line_for_each_request() -> None:
    """The log gets one line a request, whatever bytes its path holds."""
    lines: list[str] = []
    with DemoServer(pace=0, log=lines.append) as server:
        ask(server, "GET", "models")
        raw(
            server,
            b"GET /\x1b[31m\xff HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer x\r\n\r\n"
            % server.port,
        )
        ask(server, "GET", "models%1b[31m?a=%ff")
        wait_for(lambda: len(lines) == 3)  # a line is written after its answer
    said = sorted(line.rsplit(" ", 2)[0] for line in lines)
    assert ["- - 400", "GET /v1/models 200", "GET /v1/models%1b[31m?a=%ff 404"] == said


def test_pace_lets_people_watch() -> None:
    """At pace 1 events come one after the other rather than all at once."""
    with DemoServer(pace=0.2) as server:
        begun = time.monotonic()
        assert 200 == respond(server, stream=True).status
        assert 0.3 < time.monotonic() - begun


def test_many_at_once(demo: DemoServer) -> None:
    """Requests are served side by side, each with its own image."""
    answers: dict[str, Reply] = {}

    def work(prompt: str) -> None:
        answers[prompt] = generate(demo, prompt=prompt, stream=True, partial_images=1)

    threads = [threading.Thread(target=work, args=(f"fox {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 6 == len({reply.events[-1]["b64_json"] for reply in answers.values()})


def test_importing_the_server_is_light() -> None:
    """The server can be imported without Pillow and without OpenAI's package."""
    code = "import sys, imgcli.demo.server; print(sorted({'PIL', 'openai', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells its peak in /proc")
@pytest.mark.parametrize(
    ("head", "piece", "end"),
    [(b'{"prompt": "', b"x", b'"}'), (b'{"prompt": [[]', b",[]", b"]}")],
    ids=["text", "values"],
)
def test_what_ten_large_bodies_take(head: bytes, piece: bytes, end: bytes, world: dict[str, str]) -> None:
    """Ten large requests at once take no more memory than the largest one; each gets its answer."""
    pieces, size = 10, 24_000_000 + len(head) + len(end)
    command = [sys.executable, "-m", "imgcli", "demo-server"]
    with subprocess.Popen(command, env=world, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline().rpartition(":")[2].partition("/")[0])

            def post(_: int) -> int:
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
                    told = f"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                    told += f"Authorization: Bearer demo\r\nContent-Length: {size}\r\n\r\n"
                    client.sendall(told.encode() + head)
                    for _ in range(pieces):
                        client.sendall(piece * (24_000_000 // pieces // len(piece)))
                    client.sendall(end)
                    return int(client.recv(64).split()[1])

            with ThreadPoolExecutor(10) as pool:
                assert set(pool.map(post, range(10))) <= {400, 503}
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
        finally:
            process.terminate()
    assert peak < 500_000_000  # four times the room, which JSON takes while it is read, and Python
