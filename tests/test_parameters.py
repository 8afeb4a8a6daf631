"""Generation parameters: each in the body of both APIs, in files, in rows, inherited, shown; and refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from PIL import Image

import substitutes
from earlier import REQUEST, remember, runs
from images import encoded, form_fields
from imgcli.core.embedded import EmbeddedParameters, embed
from imgcli.core.image import ImageFormat
from imgcli.core.inherit import PreviousOptions
from imgcli.core.params import PARAMETERS, Complexity
from imgcli.core.request import ImageRequest
from streams import RED, b64, completed, created, image_item, images_run, item_done, stream
from tables import each
from wire import Framing, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli
    from wire import ScriptedServer

    Asked = Callable[..., dict[str, Any]]
    Refused = Callable[..., str]

IMAGE_MODEL = ("-m", "gpt-image-2.6-sunburst")
SOME_RUN = replace(REQUEST, quality=None, size="1024x1024")


class Case(NamedTuple):
    """A parameter: its field, a value of it, where it stands in both bodies, the format that it is for."""

    field: str
    value: Any
    responses: str
    images: str | None
    format: str = "png"
    sent: Any = None

    @property
    def flag(self) -> str:
        """Its option's name."""
        return next(one.flag for one in PARAMETERS if one.name == self.field)

    @property
    def typed(self) -> list[str]:
        """How it is typed."""
        values = self.value if isinstance(self.value, tuple) else [self.value]
        return [word for value in values for word in (f"--{self.flag}", str(value))]


CASES = (
    Case("complexity", Complexity.LOW, "tools.0.complexity", "complexity"),
    Case("extra", ("note=[1]", 'more="x"'), "note", "note", sent=[1]),
    Case("action", "generate", "tools.0.action", None),
    Case("service_tier", "flex", "service_tier", None),
    Case("safety_identifier", "5f2e", "safety_identifier", "safety_identifier"),
    Case("instructions", "Always in oil.", "instructions", None),
    Case("reasoning_effort", "low", "reasoning.effort", None),
    Case("frames", 4, "tools.0.frame_count", "frame_count", "gif"),
    Case("frame_duration", 80, "tools.0.frame_duration_ms", "frame_duration_ms", "gif"),
    Case("svg_model", "gpt-6-luna", "tools.0.svg.model", "svg.model", "svg"),
    Case("svg_effort", "high", "tools.0.svg.reasoning.effort", "svg.reasoning.effort", "svg"),
)
FORMATS = sorted({case.format for case in CASES})


def dig(body: Any, path: str) -> Any:
    """Find the value at a path of keys and positions; None where there is none."""
    for key in path.split("."):
        if body is None:
            return None
        body = body[int(key)] if isinstance(body, list) else body.get(key)
    return body


def of(image_format: str) -> list[Case]:
    """List the cases for a format."""
    return [case for case in CASES if case.format == image_format]


@pytest.fixture
def config(world: dict[str, str]) -> Callable[[str], None]:
    """Write the configuration."""

    def write(text: str) -> None:
        path = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return write


def assert_sent(body: dict[str, Any], image_format: str, *, is_images: bool = False) -> None:
    """Check that a body has every parameter of this format, and none of another's."""
    for case in CASES:
        path = case.images if is_images else case.responses
        expected = (case.sent or case.value) if case.format in ("png", image_format) else None
        if path:
            assert expected == dig(body, path), case


@pytest.mark.parametrize("image_format", FORMATS)
def test_parameters_are_sent(asked: Asked, image_format: str) -> None:
    """Every parameter stands where each API looks for it, typed on the command line."""
    cases = of("png") if image_format == "png" else [*of("png"), *of(image_format)]
    typed = [word for case in cases for word in case.typed]
    assert_sent(asked("gen", "x", "--format", image_format, *typed), image_format)
    typed = [word for case in cases if case.images for word in case.typed]
    body = asked("gen", "x", *IMAGE_MODEL, "--format", image_format, *typed)
    assert_sent(body, image_format, is_images=True)


def test_parameters_have_defaults_in_files(asked: Asked, config: Callable[[str], None]) -> None:
    """The configuration and presets set every parameter; what does not fit a run gives way."""
    lines = "".join(f"{case.flag} = {json.dumps(case.value)}\n" for case in CASES)
    config(lines)
    for image_format in FORMATS:
        assert_sent(asked("gen", "x", "--format", image_format), image_format)
    assert_sent(asked("gen", "x", *IMAGE_MODEL), "png", is_images=True)
    config(f"[preset.all]\n{lines}")
    assert_sent(asked("gen", "x", "--preset", "all"), "png")


def test_rows_have_parameters(imgcli: Cli, folder: Path) -> None:
    """A row of a batch file sets every parameter; a wrong value names the line and the column."""
    row = {"prompt": "x", **{case.flag: case.value for case in of("png")}}
    wrong = {"prompt": "x", "complexity": "extreme"}
    (folder / "p.jsonl").write_text(json.dumps(row))
    keys = [json.loads(line).get("task") for line in imgcli("batch", "p.jsonl", "--dry-run", "--jsonl").lines]
    (folder / "p.jsonl").write_text(json.dumps({"prompt": "x"}))
    bare = [json.loads(line).get("task") for line in imgcli("batch", "p.jsonl", "--dry-run", "--jsonl").lines]
    assert keys != bare
    (folder / "p.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(wrong)}")
    done = imgcli("batch", "p.jsonl", "--dry-run")
    assert (2, True) == (done.exit_code, "Line 2 of p.jsonl: complexity must be" in done.stderr), done.stderr


def test_again_repeats_parameters(asked: Asked, world: dict[str, str], folder: Path) -> None:
    """Every parameter is that of the earlier run, but for what another format or API does not take."""
    for number, image_format in enumerate(FORMATS, start=1):
        values = {case.field: case.value for case in CASES if case.format in ("png", image_format)}
        request = replace(SOME_RUN, format=ImageFormat(image_format), **values)
        remember(world, (RED + bytes(number), folder / f"{number}.{image_format}"), request=request)
        assert_sent(asked("again", str(number)), image_format)
        assert_sent(asked("again", str(number), "--format", "png"), "png")
        direct = asked("again", str(number), *IMAGE_MODEL)
        assert_sent(direct, image_format, is_images=True)
        assert set() == direct.keys() & {case.responses for case in CASES if not case.images}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.field)
def test_parameters_are_recorded(case: Case) -> None:
    """A record of a run and the parameters in a file hold each of them, and read it again."""
    request = replace(REQUEST, **{case.field: case.value})
    assert request == ImageRequest.from_json(json.loads(json.dumps(request.to_json())))
    embedded = EmbeddedParameters.of(request, None, "", "1")
    again = EmbeddedParameters.from_json(json.loads(json.dumps(embedded.to_json())))
    assert again == embedded
    is_private = case.field in ("safety_identifier", "extra")
    assert (is_private, is_private) == (
        case.field not in embedded.options,
        not getattr(request.anonymized(), case.field),
    )
    assert case.field not in REQUEST.to_json()


@pytest.mark.parametrize(
    "value",
    [
        {"frames": 99, "frame_duration": True, "complexity": "huge", "extra": "seed=1", "svg_effort": 3},
        {"frames": "4", "complexity": ["low"], "extra": {"a": 1}, "instructions": 5, "service_tier": None},
        {"frames": 1e9, "extra": None, "safety_identifier": {}, "reasoning_effort": "LOW", "action": 1},
    ],
)
def test_bad_records(value: dict[str, Any]) -> None:
    """A value that is not of its parameter's type, or out of range, counts as missing."""
    bare = ImageRequest.from_json({"prompt": "x"})
    assert bare is not None
    assert bare == ImageRequest.from_json({"prompt": "x", **value})
    embedded = EmbeddedParameters.from_json({"recipe": 1, "prompt": "x", **value})
    assert embedded is not None
    known = PreviousOptions.of_embedded(embedded).options
    assert {"complexity": None, "frames": None} == {name: known[name] for name in ("complexity", "frames")}


REFUSED = (
    (["--complexity", "extreme"], "Invalid value for '--complexity'"),
    (
        ["--frames", "4"],
        "--frames works only with gif. Nothing was sent; nothing was charged. Add --format",
    ),
    (["--frames", "1", "--format", "gif"], "--frames must be between 2 and 16."),
    (["--frames", "17", "-o", "x.gif"], "--frames must be between 2 and 16."),
    (["--frame-duration", "0", "--format", "gif"], "--frame-duration must be between 1 and 655,350."),
    (["--frame-duration", "655351", "--format", "gif"], "--frame-duration must be between"),
    (["--frames", "2", "--format", "gif", "--partials", "1"], "gif does not support partial images."),
    (["--extra", "seed"], "--extra must be KEY=JSON, not seed."),
    (["--extra", "=1"], "--extra must be KEY=JSON, not =1."),
    (["--extra", "tool.=1"], "--extra must be KEY=JSON, not tool.=1."),
    (["--extra", "user=me"], "The value of user in --extra is not JSON."),
    (["--extra", "user=NaN"], "The value of user in --extra is not JSON."),
    (["--extra", "user="], "The value of user in --extra is not JSON."),
    (["--extra", "user=" + "[" * 100_000], "The value of user in --extra is not JSON."),
    (["--extra", 'user="\\ud800"'], "The value of user in --extra is not valid UTF-8."),
    (["--extra", "stream=false"], "--extra cannot set stream: imgcli sets it itself."),
    (["--extra", 'tool.size="1x1"'], "--extra cannot set tool.size: imgcli sets it itself."),
    (["--extra", "reasoning={}"], "Use --reasoning-effort."),
    (["--extra", "a=1", "--extra", "a=2"], "--extra sets a twice."),
    ([*IMAGE_MODEL, "--extra", "tool.a=1"], "The Images API has no tool"),
    (["--extra", "a=1", "--max-cost", "1"], "The maximum cost is unknown with --extra a=1."),
    (["--action", "edit"], "There is no image to edit."),
    ([*IMAGE_MODEL, "--action", "generate"], "The Images API does not take --action."),
    ([*IMAGE_MODEL, "--service-tier", "flex"], "The Images API does not take --service-tier."),
    ([*IMAGE_MODEL, "--instructions", "x"], "The Images API does not take --instructions."),
    ([*IMAGE_MODEL, "--reasoning-effort", "low"], "The Images API does not take --reasoning-effort."),
    (["--safety-identifier", "x" * 129], "--safety-identifier has 129 characters; the API accepts 128."),
    (["--service-tier", "batch"], "Try imgcli batch --later."),
    (["--format", "gif", "-m", "gpt-image-1.5"], "gpt-image-1.5 does not make gif. Nothing was sent;"),
    (["--instructions", " "], "--instructions is empty."),
    (["--instructions", "\udcff"], "--instructions is not valid UTF-8."),
    (["--reasoning-effort", "high", "--max-cost", "1"], "is unknown with --reasoning-effort high."),
    (["--service-tier", "fast", "--max-cost", "1"], "The maximum cost is unknown with --service-tier fast."),
    (["--svg-model", "gpt-6-luna"], "--svg-model works only with svg."),
    (["--svg-effort", "huge", "--format", "svg"], "Invalid value for '--svg-effort'"),
    (["--svg-model", "", "--format", "svg"], "--svg-model is empty."),
    (
        [*IMAGE_MODEL, "--svg-effort", "low", "--format", "svg"],
        "--svg-effort needs --svg-model on the Images API.",
    ),
    ([*IMAGE_MODEL, "--format", "gif", "--stream"], "The Images API does not stream gif."),
    (["--format", "svg", "--partials", "1"], "svg does not support partial images."),
    ([*IMAGE_MODEL, "--format", "svg", "-n", "2", "--single-request"], "cannot be used for svg."),
    (["--svg-model", "gpt-6-luna", "--format", "svg", "--max-cost", "1"], "how many tokens it takes"),
    (["--frames", "2", "--format", "gif", "--compression", "5"], "--compression works only with"),
)


@each(("typed", "said"), REFUSED)
def test_parameters_are_checked(refused: Refused, typed: list[str], said: str) -> None:
    """What the API is documented to refuse is refused before anything is sent, and the sentence says why."""
    assert said in " ".join(refused("gen", "x", *typed).split())


@each(
    ("typed", "said"),
    [
        (
            ["-m", "gpt-image-2", "--complexity", "low"],
            "OpenAI does not say whether gpt-image-2 supports --complexity; it is sent as is",
        ),
        (["--service-tier", "steam"], "imgcli does not know --service-tier steam; it is sent as is"),
        (["--reasoning-effort", "low", "-m", "gpt-4.1"], "gpt-4.1 does not reason"),
    ],
)
def test_what_may_fail_is_a_notice(asked: Asked, typed: list[str], said: str) -> None:
    """Where nobody says that a model or server takes a value, it is sent, with a note."""
    assert said in asked("gen", "x", *typed)["told"]


def test_the_demo_takes_them_all(imgcli: Cli, folder: Path, world: dict[str, str]) -> None:
    """The demo, which checks parameters as OpenAI does, takes each; `info` shows them, the bill the tier."""
    typed = [word for case in of("png") if case.field != "extra" for word in case.typed]
    extra = ("--extra", 'metadata={"a": "b"}')
    done = imgcli("gen", "x", "--demo", "-m", "gpt-6-luna", *typed, *extra, "--embed", "--bill")
    assert (0, [str(folder / "x.png")]) == (done.exit_code, done.lines), done.stderr
    shown = " ".join(imgcli("info", "x.png").stdout.decode().split())
    assert f"extra {extra[1]}" in shown
    for case in of("png"):
        if case.field != "extra":
            assert f"{case.flag.replace('-', ' ')} {case.value}" in shown
    assert "service tier flex" in done.stderr
    fast = imgcli("gen", "x", "--demo", "-m", "gpt-6-luna", "--service-tier", "fast", "--bill")
    assert (0, True) == (fast.exit_code, "service tier priority" in fast.stderr), fast.stderr
    text, image = runs(world)[0].charges
    assert (True, None) == (text.cost is not None, image.cost)


def test_an_edit_has_an_action(asked: Asked, folder: Path, config: Callable[[str], None]) -> None:
    """An edit asks the tool to edit, whatever the configuration says of images; what is typed counts."""
    (folder / "a.png").write_bytes(RED)
    config('action = "generate"\n')
    acts = [
        dig(asked("edit", "a.png", "x", *typed), "tools.0.action")
        for typed in ([], ["--action", "auto"], ["-m", "gpt-image-2"])
    ]
    assert ["edit", "auto", None] == acts


def test_frames_of_a_gif(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """A GIF has as many frames as were asked for, each shown for as long, and is saved whole."""
    typed = ("-o", "x.gif", "--size", "816x816", "--frames", "3", "--frame-duration", "80")
    del world[substitutes.FLAT]
    done = imgcli("gen", "x", "--demo", *typed)
    assert 0 == done.exit_code, done.stderr
    with Image.open(folder / "x.gif") as image:
        assert (3, 80) == (image.n_frames, image.info["duration"])  # type: ignore[attr-defined]  # of a GIF


def test_frames_are_counted_by_limits(imgcli: Cli) -> None:
    """The most that a GIF can cost grows with its frames."""
    costs = []
    for frames in ("2", "16"):
        done = imgcli("gen", "x", *IMAGE_MODEL, "-o", "x.gif", "--frames", frames, "--max-cost", "0.0001")
        costs.append(float(re.findall(r"\$(\d+\.\d+)", done.stderr)[0]))
    assert 5 < costs[1] / costs[0] < 8


def test_estimates_know_of_tiers(imgcli: Cli) -> None:
    """OpenAI's tables of tokens have the price of an image at the standard tier alone."""
    typed = ("-m", "gpt-6-luna", "--image-model", "gpt-image-1-mini", "--estimate", "--dry-run")
    usual, flex = (imgcli("gen", "x", *typed, *more).stderr for more in ([], ["--service-tier", "flex"]))
    assert "estimate: at least $0.0084" in usual
    assert "estimate: unknown, at most" in flex
    assert "no price of an image is published for --service-tier flex" in flex


class TestMarkup:
    """`edit --markup`: a transparent image over the one that is edited."""

    @pytest.fixture(autouse=True)
    def images(self, folder: Path) -> None:
        """Put an image and what is drawn over it into the folder."""
        (folder / "a.png").write_bytes(RED)
        (folder / "arrow.png").write_bytes(encoded("PNG", "RGBA"))

    def test_is_uploaded_beside_the_image(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """The demo, which checks it as OpenAI does, takes it; `again` sends it again, unless it changed."""
        done = imgcli("edit", "a.png", "a hat here", "--markup", "arrow.png", *IMAGE_MODEL, "--demo")
        assert 0 == done.exit_code, done.stderr
        request = runs(world)[0].request
        assert request is not None
        assert request.markup is not None
        assert str(folder / "arrow.png") == request.markup.path
        again = json.loads(imgcli("again", "last", "--demo", "--dry-run").stdout)
        assert again["markup"].startswith("<arrow.png")
        assert "markup" in imgcli("info", "last").stdout.decode()
        (folder / "arrow.png").write_bytes(encoded("PNG", "RGBA", (48, 33)))
        assert "no longer the same image" in imgcli("again", "last", "--demo").stderr

    @each(
        ("typed", "said"),
        [
            ([], "--markup needs an image model"),
            ([*IMAGE_MODEL, "--mask", "arrow.png"], "--markup and --mask cannot be combined."),
            ([*IMAGE_MODEL, "--markup", "a.png"], "The markup a.png has no alpha channel"),
            ([*IMAGE_MODEL, "--markup", "gone.png"], "gone.png"),
            ([*IMAGE_MODEL, "--markup", "large.png"], "The markup is 64x64 pixels, but a.png is 48x32."),
            ([*IMAGE_MODEL, "-i", "https://example.com/b.png"], "--markup needs image files"),
            ([*IMAGE_MODEL, "--markup", "-"], "--markup must be a file."),
        ],
    )
    def test_is_checked(self, refused: Refused, folder: Path, typed: list[str], said: str) -> None:
        """What cannot be sent as markup is refused before anything is sent."""
        (folder / "large.png").write_bytes(encoded("PNG", "RGBA", (64, 64)))
        assert said in " ".join(refused("edit", "a.png", "x", "--markup", "arrow.png", *typed).split())

    def test_is_new_to_older_models(self, asked: Asked) -> None:
        """A model that is older than markup gets it, with a note."""
        told = asked("edit", "a.png", "x", "--markup", "arrow.png", "-m", "gpt-image-2")["told"]
        assert "OpenAI documents --markup for GPT Image 2.5 and later alone" in told


class TestExtra:
    """`--extra`: fields that imgcli does not know."""

    def test_where_they_stand(self, asked: Asked) -> None:
        """Any JSON goes into the body as it is; what is for the tool goes into the tool."""
        typed = ("--extra", 'tool.style={"a": [null, 1.5]}', "--extra", "seed=null", "--extra", 'a.b="ä"')
        body = asked("gen", "x", *typed)
        assert ({"a": [None, 1.5]}, None, "ä") == (body["tools"][0]["style"], body["seed"], body["a.b"])

    def test_in_a_form(self, server: Callable[..., ScriptedServer], imgcli: Cli, folder: Path) -> None:
        """A form has objects and lists as OpenAI's own client writes them."""
        (folder / "a.png").write_bytes(RED)
        wire = server(Reply(images_run()))
        typed = ("--extra", 'meta={"on": true, "tags": ["a", "b"]}', "--extra", "none=null")
        done = imgcli("edit", "a.png", "x", *IMAGE_MODEL, *typed, env={"OPENAI_BASE_URL": wire.base_url})
        assert 0 == done.exit_code, done.stderr
        (request,) = wire.requests
        fields = form_fields(request.headers["content-type"], request.body)
        sent = [(field.name, field.data) for field in fields if field.name.startswith(("meta", "none"))]
        assert [("meta[on]", b"true"), ("meta[tags][]", b"a"), ("meta[tags][]", b"b")] == sent

    def test_no_other_server_gets_them(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """They may hold a secret: only the earlier run's server gets them again, and no file has them."""
        request = replace(SOME_RUN, extra=('api_key="k"',), safety_identifier="me")
        remember(world, (RED, folder / "a.png"), request=request)
        embedded = EmbeddedParameters("x", "gpt-6-luna", "responses", options={"extra": ("seed=1",)})
        (folder / "b.png").write_bytes(embed(encoded("PNG"), embedded))
        for name in ("a.png", "b.png"):
            done = imgcli("again", name, "--trust", "--base-url", "http://127.0.0.1:8/v1", "--dry-run")
            assert 0 == done.exit_code, done.stderr
            assert set() == {"api_key", "safety_identifier", "seed"} & json.loads(done.stdout).keys()

    def test_what_is_inherited(self, asked: Asked, world: dict[str, str], folder: Path) -> None:
        """What is for the tool is not taken over by an image model, and the rest is."""
        remember(world, (RED, folder / "a.png"), request=replace(SOME_RUN, extra=("tool.a=1", "b=2")))
        body = asked("again", "1", *IMAGE_MODEL)
        assert ("b" in body, "a" in body) == (True, False)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
SVG_USAGE = {
    "input_tokens": 1000,
    "output_tokens": 2000,
    "reasoning_tokens": 500,
    "total_tokens": 3000,
    "model": "gpt-6-luna",
}


class TestSvgUsage:
    """What the model took that writes an SVG."""

    @pytest.mark.parametrize("api", ["responses", "images"])
    def test_in_the_demo(self, imgcli: Cli, world: dict[str, str], folder: Path, api: str) -> None:
        """The demo draws one, and its author is on the bill as it would be on OpenAI's."""
        model = IMAGE_MODEL if api == "images" else []
        typed = ("-o", "a.svg", "--svg-model", "gpt-6-luna", "--svg-effort", "high")
        done = imgcli("gen", "a fox", *model, "--demo", *typed)
        assert 0 == done.exit_code, done.stderr
        assert b">a fox</text>" in (folder / "a.svg").read_bytes()
        author = runs(world)[0].charges[-1]
        assert ("SVG author", "gpt-6-luna") == (author.part, author.model)
        assert (author.tokens_out or 0) > 4096
        refused = imgcli("gen", "a fox", *model, "--demo", "-o", "b.svg", "--svg-model", "gpt-9")
        assert (5, True) == (refused.exit_code, "Choose another --svg-model than gpt-9" in refused.stderr)

    def test_on_the_responses_api(
        self, server: Callable[..., ScriptedServer], imgcli: Cli, world: dict[str, str]
    ) -> None:
        """An image call comes twice, and its author is on the bill once, with its model and its price."""
        item = image_item(SVG, output_format="svg", svg_usage=SVG_USAGE)
        wire = server(Reply(stream(created(), item_done(item), completed(item))))
        done = imgcli("gen", "x", "--format", "svg", env={"OPENAI_BASE_URL": wire.base_url})
        assert 0 == done.exit_code, done.stderr
        author = runs(world)[0].charges[-1]
        assert ("SVG author", "gpt-6-luna", 1000, 2000) == (
            author.part,
            author.model,
            author.tokens_in,
            author.tokens_out,
        )
        assert "SVG author gpt-6-luna" in done.stderr
        assert "$0.0011" in done.stderr

    def test_on_the_images_api(
        self, server: Callable[..., ScriptedServer], imgcli: Cli, world: dict[str, str]
    ) -> None:
        """The answer has it beside the usage of the image."""
        answer = {"created": 1, "data": [{"b64_json": b64(SVG)}], "svg_usage": SVG_USAGE}
        reply = Reply(json.dumps(answer).encode(), content_type="application/json", framing=Framing.LENGTH)
        wire = server(reply)
        typed = ("--format", "svg", "--svg-model", "gpt-6-luna", "--svg-effort", "low")
        done = imgcli("gen", "x", *IMAGE_MODEL, *typed, env={"OPENAI_BASE_URL": wire.base_url})
        assert 0 == done.exit_code, done.stderr
        assert {"model": "gpt-6-luna", "reasoning": {"effort": "low"}} == wire.requests[0].json["svg"]
        assert ("SVG author", 2000) == (
            runs(world)[0].charges[-1].part,
            runs(world)[0].charges[-1].tokens_out,
        )
