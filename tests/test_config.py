"""The configuration through the real command: precedence, profiles, secrets, and what a broken file stops."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imgcli.cli.config.settings import AppliedProfile
from imgcli.core.errors import usage_error
from streams import RED, completed, created, image_item, images_run, item_done, stream, whole_run
from wire import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

KEY = "canary-of-this-server-0123456789"
LOGIN = "canary-login-of-the-gateway"
PROFILE = 'key-env = "GW_KEY"\nmodel = "gpt-4o-mini"\nheaders = { x-login = "env:GW_LOGIN" }\n'
OPENAI = "sk-canary-0123456789abcdef"


@pytest.fixture
def config(world: dict[str, str]) -> Callable[[str], Path]:
    """Write the configuration file, and give its path."""

    def write(text: str) -> Path:
        path = config_of(world)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def config_of(world: dict[str, str]) -> Path:
    """Find where the configuration is in a test's world."""
    return Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"


def sent(result: Result) -> Any:
    """Read the request that --dry-run shows."""
    assert 0 == result.exit_code, result.stderr
    return json.loads(result.stdout)


def options(result: Result) -> dict[str, tuple[Any, str, str | None, int | None]]:
    """Read what `config show --json` says of each option: value, source, name, line."""
    rows = json.loads(result.stdout)["options"]
    return {row["option"]: (row["value"], row["source"], row["name"], row["line"]) for row in rows}


LAYERS = """\
model = "from-file"
size = "portrait"
quality = "low"
default-profile = "one"
[gen]
size = "landscape"
[profile.one]
model = "from-one"
[profile.two]
model = "from-two"
"""


@pytest.mark.parametrize(
    ("args", "env", "model"),
    [
        (["-m", "from-flag"], {"IMGCLI_MODEL": "from-env"}, "from-flag"),
        ([], {"IMGCLI_MODEL": "from-env"}, "from-env"),
        (["--profile", "two"], {"IMGCLI_PROFILE": "nobody"}, "from-two"),
        ([], {"IMGCLI_PROFILE": "two"}, "from-two"),
        ([], {}, "from-one"),
        (["--profile", ""], {}, "from-file"),
    ],
    ids=["flag", "environment", "option", "variable", "default", "none"],
)
def test_who_is_heard_first(
    args: list[str], env: dict[str, str], model: str, imgcli: Cli, config: Callable[[str], Path]
) -> None:
    """A value is the flag's, else the environment's, the profile's, the command's, the file's, built in."""
    config(LAYERS)
    body = sent(imgcli("gen", "a cat", "--api", "images", "--dry-run", *args, env=env))
    assert (model, "1536x1024", "low") == (body["model"], body["size"], body["quality"])


def test_no_file_changes_nothing(imgcli: Cli, world: dict[str, str]) -> None:
    """Without a file everything is built in; `config path` tells where it would be."""
    assert [str(config_of(world))] == imgcli("config", "path").lines
    shown = imgcli("config", "show", "--json")
    assert (0, {"built-in"}) == (shown.exit_code, {row[1] for row in options(shown).values()})


def test_where_values_come_from(imgcli: Cli, config: Callable[[str], Path]) -> None:
    """`config show` names variable, profile and line for each value, and no secret."""
    path = config(
        'quality = "low"\n[view]\nwidth = 40\n[profile.gw]\nmodel = "x"\nkey-env = "GW_KEY"\n'
        'headers = { x-team = "art", x-login = "env:GW_LOGIN", x-none = "env:NONE" }\n'
    )
    env = {
        "GW_KEY": KEY,
        "GW_LOGIN": LOGIN,
        "IMGCLI_PREVIEW": "half",
        "OPENAI_BASE_URL": "https://me:hush@example.org/v1",
    }
    shown = imgcli("config", "show", "--json", "--profile", "gw", env=env)
    rows = options(shown)
    expected = {
        "quality": ("low", "file", None, 1),
        "model": ("x", "profile", "gw", 5),
        "preview": ("half", "environment", "IMGCLI_PREVIEW", None),
        "base-url": ("https://[hidden]@example.org/v1", "environment", "OPENAI_BASE_URL", None),
        "size": ("1024x1024", "built-in", None, None),
        "width": (40, "file", "view", 3),
        "jsonl-images": (None, "built-in", None, None),
    }
    assert expected == {name: rows[name] for name in expected}
    told = json.loads(shown.stdout)
    assert (str(path), "gw", "--profile", None, "GW_KEY", True) == (
        told["file"],
        told["profile"],
        told["profile_named_by"],
        told["problem"],
        told["key_env"],
        told["key_is_set"],
    )
    assert [
        {"name": "x-team", "value": "art", "variable": None, "is_set": True},
        {"name": "x-login", "value": None, "variable": "GW_LOGIN", "is_set": True},
        {"name": "x-none", "value": None, "variable": "NONE", "is_set": False},
    ] == told["headers"]
    text = imgcli("config", "show", env=env | {"IMGCLI_PROFILE": "gw"})
    rows_of_text = [line.split() for line in text.lines]
    assert ["quality", "file", "line", "1", "low"] in rows_of_text
    assert ["header", "x-login:", "environment", "GW_LOGIN", "(set)"] in rows_of_text
    assert not re.search("canary|hush", text.stdout.decode() + shown.stdout.decode())


def test_the_file_to_begin_with(imgcli: Cli, world: dict[str, str]) -> None:
    """`config init` writes a private file over nothing; it changes nothing until it is woken."""
    first, again = imgcli("config", "init"), imgcli("config", "init")
    path = config_of(world)
    assert (0, [str(path)], 2, b"") == (first.exit_code, first.lines, again.exit_code, again.stdout)
    assert "already exists" in again.stderr
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert {"built-in"} == {row[1] for row in options(imgcli("config", "show", "--json")).values()}
    awake = re.sub(r"(?m)^# (?=[a-z\[][\w.-]*(?:\]| = ))", "", path.read_text())
    path.write_text(awake)
    shown = imgcli("config", "show", "--json")
    told = json.loads(shown.stdout)
    assert (0, "azure", "AZURE_OPENAI_API_KEY") == (shown.exit_code, told["profile"], told["key_env"]), awake
    assert 0 == imgcli("gen", "a cat", "--profile", "play", "-m", "gpt-4o-mini", "--dry-run").exit_code


def test_a_server_in_one_line(
    imgcli: Cli, server: Server, config: Callable[[str], Path], folder: Path
) -> None:
    """A profile sends its own headers and its own key to its own server, also on this machine."""
    peer = server(Reply(images_run()))
    config(
        f'[profile.azure]\nbase-url = "{peer.base_url}"\nkey-env = "AZURE_KEY"\nmodel = "gpt-image-2"\n'
        'headers = { x-ms-oai-image-generation-deployment = "art", x-login = "env:GW_LOGIN" }\n'
    )
    env = {"AZURE_KEY": KEY, "GW_LOGIN": LOGIN, "OPENAI_API_KEY": OPENAI}
    result = imgcli("gen", "a cat", "--profile", "azure", env=env)
    assert (0, [str(folder / "a-cat.png")]) == (result.exit_code, result.lines), result.stderr
    headers = peer.requests[0].headers
    assert (f"Bearer {KEY}", "art", LOGIN) == (
        headers["authorization"],
        headers["x-ms-oai-image-generation-deployment"],
        headers["x-login"],
    )


def test_a_server_on_this_machine_without_a_key(
    imgcli: Cli, server: Server, config: Callable[[str], Path]
) -> None:
    """A profile that names no key gives a server on this machine none; the environment's headers go first."""
    peer = server(Reply(images_run()))
    config(
        f'[profile.local]\nbase-url = "{peer.base_url}"\nmodel = "gpt-image-2"\n'
        'headers = { x-team = "art", x-mode = "fast" }\n'
    )
    env = {"OPENAI_API_KEY": OPENAI, "OPENAI_CUSTOM_HEADERS": "X-Team: music"}
    assert 0 == imgcli("gen", "a cat", "--profile", "local", env=env).exit_code
    headers = peer.requests[0].headers
    assert ("Bearer local", "music", "fast") == (
        headers["authorization"],
        headers["x-team"],
        headers["x-mode"],
    )


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_another_server_gets_nothing_of_a_profile(
    by: str, imgcli: Cli, server: Server, config: Callable[[str], Path]
) -> None:
    """Another address goes before the profile's, which is said; the profile's key and headers stay here."""
    peer = server(Reply(images_run()))
    config(
        '[profile.azure]\nbase-url = "https://res.openai.azure.com/openai/v1"\nkey-env = "AZURE_KEY"\n'
        'model = "gpt-image-2"\nheaders = { x-login = "env:GW_LOGIN" }\n'
    )
    env = {"AZURE_KEY": KEY, "GW_LOGIN": LOGIN}
    args = ["--base-url", peer.base_url] if by == "flag" else []
    env |= {"OPENAI_BASE_URL": peer.base_url} if by == "environment" else {}
    result = imgcli("gen", "a cat", "--profile", "azure", *args, env=env)
    assert 0 == result.exit_code, result.stderr
    assert "Bearer local" == peer.requests[0].headers["authorization"]
    assert "x-login" not in peer.requests[0].headers
    name = "--base-url" if by == "flag" else "OPENAI_BASE_URL"
    assert f"note: {name} overrides the base-url of profile azure (line 2 of " in result.stderr
    assert "its key and headers are not sent" in result.stderr


def test_a_profile_without_an_address(imgcli: Cli, server: Server, config: Callable[[str], Path]) -> None:
    """Its key stands in for OPENAI_API_KEY, and like that is not for a server on this machine."""
    peer = server(Reply(images_run()))
    config('[profile.work]\nkey-env = "WORK_KEY"\nmodel = "gpt-image-2"\n')
    result = imgcli("gen", "a cat", "--profile", "work", "--base-url", peer.base_url, env={"WORK_KEY": KEY})
    assert (0, "Bearer local") == (result.exit_code, peer.requests[0].headers["authorization"])
    assert "profile work has no base-url" in result.stderr


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ('key-env = "AZURE_KEY"', "AZURE_KEY is not set"),
        ('headers = { x-login = "env:GW_LOGIN" }', "GW_LOGIN is not set; the header x-login of profile a"),
    ],
)
def test_a_variable_that_is_missing(
    lines: str, named: str, imgcli: Cli, config: Callable[[str], Path]
) -> None:
    """4: a profile's key or header that the environment does not have is told by its name."""
    config(f'[profile.a]\nbase-url = "https://example.invalid/v1"\n{lines}\n')
    result = imgcli("gen", "a cat", "--profile", "a", env={"OPENAI_API_KEY": OPENAI})
    assert (4, b"") == (result.exit_code, result.stdout)
    assert named in result.stderr


def test_a_server_that_echoes_secrets(imgcli: Cli, server: Server, config: Callable[[str], Path]) -> None:
    """What a profile took from the environment is hidden in errors, notes, prompts and JSON lines."""
    echo = f"odd: {KEY} {LOGIN} custom-canary"
    item = image_item(revised_prompt=echo)
    good = stream(created(), item_done(item), completed(item))
    env = {
        "GW_KEY": KEY,
        "GW_LOGIN": f"Token {LOGIN}",
        "OPENAI_CUSTOM_HEADERS": "Authorization: custom-canary",
    }
    for reply in (Reply(good), error_reply(400, echo, code=KEY)):
        peer = server(reply)
        config(f'default-profile = "gw"\n[profile.gw]\nbase-url = "{peer.base_url}"\n{PROFILE}')
        result = imgcli("gen", "a cat", "--jsonl", env=env)
        assert "odd: [hidden]" in result.stdout.decode(), result.stderr
        assert "canary" not in result.stdout.decode() + result.stderr


def test_a_crash_tells_nothing_of_a_profile(imgcli: Cli, config: Callable[[str], Path], folder: Path) -> None:
    """A crash file holds no value that the configuration names, even when it is broken."""
    config(f"[profile.gw]\n{PROFILE}")
    (folder / "sitecustomize.py").write_text(
        "import imgcli.core.validate\n"
        f"def broken(*_):\n    raise ValueError('{KEY} {LOGIN}')\n"
        "imgcli.core.validate.resolve_size = broken\n"
    )
    env = {"GW_KEY": KEY, "GW_LOGIN": f"Bearer {LOGIN}", "PYTHONPATH": str(folder)}
    result = imgcli("gen", "a cat", env=env)
    (crash,) = (folder.parent / "home").rglob("crash-*.txt")
    assert 1 == result.exit_code
    assert "canary" not in result.stderr + crash.read_text()


@pytest.mark.parametrize("blank", ["", " ", "\t "])
def test_a_blank_variable_is_none(
    blank: str, imgcli: Cli, server: Server, config: Callable[[str], Path]
) -> None:
    """A variable that holds nothing but spaces leaves everything to the profile, as `config show` says."""
    peer = server(Reply(whole_run()))
    config(f'[profile.p]\nbase-url = "{peer.base_url}"\nkey-env = "MYKEY"\nmodel = "gpt-5.2"\n')
    names = ("OPENAI_BASE_URL", "IMGCLI_MODEL", "IMGCLI_DAILY_CAP", "IMGCLI_PREVIEW", "OPENAI_CUSTOM_HEADERS")
    env = {**dict.fromkeys(names, blank), "MYKEY": KEY}
    shown = json.loads(imgcli("config", "show", "--json", "--profile", "p", env=env).stdout)
    told = {one["option"]: one["source"] for one in shown["options"] if one["command"] == "gen"}
    assert ["profile", "profile", "built-in"] == [told[name] for name in ("base-url", "model", "daily-cap")]
    result = imgcli("gen", "a cat", "--profile", "p", env=env)
    assert 0 == result.exit_code, result.stderr
    assert ("gpt-5.2", f"Bearer {KEY}") == (
        peer.requests[0].json["model"],
        peer.requests[0].headers["authorization"],
    )


BROKEN = 'model = "x"\nqualty = "low"\n'


def test_a_broken_file_sends_nothing(imgcli: Cli, server: Server, config: Callable[[str], Path]) -> None:
    """2: an option that nobody has is told with file, line and what was meant, also as a JSON line."""
    peer = server(Reply(whole_run()))
    path = config(BROKEN)
    result = imgcli("gen", "a cat", "--jsonl", "--base-url", peer.base_url)
    line = json.loads(result.stdout)
    assert (2, 0, "usage", f"Line 2 of {path}: unknown option qualty.", "Did you mean quality?") == (
        result.exit_code,
        peer.posts,
        line["kind"],
        line["message"],
        line["advice"],
    )


@pytest.mark.parametrize(
    ("args", "exit_code"),
    [
        (["--help"], 0),
        (["gen", "--help"], 0),
        (["gen", "--profile", "x", "--help"], 0),
        (["recover"], 0),
        (["view", "{image}", "--preview", "off"], 0),
        (["config", "path"], 0),
        (["config", "show"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_broken_file_does_not_stop(
    args: list[str], exit_code: int, imgcli: Cli, config: Callable[[str], Path], folder: Path
) -> None:
    """Help, recover and view work whatever stands in the file; `config show` tells what is wrong."""
    config(BROKEN)
    (folder / "red.png").write_bytes(RED)
    result = imgcli(*(arg.format(image="red.png") for arg in args))
    assert exit_code == result.exit_code, result.stderr
    assert ("qualty" in result.stderr) is (args[0] in {"view", "recover"} or exit_code == 2)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("folder", "is a folder"),
        ("fifo", "is a pipe"),
        ("missing", "which does not exist"),
        ("latin", "Line 2 of"),
        ("huge", "is larger than 1 MB"),
    ],
)
def test_a_file_that_cannot_be_read(kind: str, told: str, imgcli: Cli, folder: Path) -> None:
    """2: what IMGCLI_CONFIG names must be a readable file of text."""
    path = folder / kind
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "latin":
            path.write_bytes(b"# 1\n# caf\xe9\n")
        case "huge":
            path.write_bytes(b"#" * (1 << 20) + b"#")
    result = imgcli("gen", "a cat", "--dry-run", env={"IMGCLI_CONFIG": str(path)})
    assert (2, b"") == (result.exit_code, result.stdout)
    assert told in result.stderr


def test_another_file(imgcli: Cli, config: Callable[[str], Path], folder: Path) -> None:
    """IMGCLI_CONFIG names another file; /dev/null is an empty one."""
    config(BROKEN)
    (folder / "mine.toml").write_bytes(b'\xef\xbb\xbfmodel = "mine"\r\n')
    body = sent(imgcli("gen", "a cat", "--dry-run", env={"IMGCLI_CONFIG": "mine.toml"}))
    assert "mine" == body["model"]
    assert (
        "gpt-4o-mini"
        == sent(imgcli("gen", "a cat", "--dry-run", env={"IMGCLI_CONFIG": "/dev/null"}))["model"]
    )


@pytest.mark.parametrize(
    ("by", "told"),
    [
        (["--profile", "azur"], "Did you mean azure?"),
        (["--profile", "zzz"], "Its profiles are azure, local."),
    ],
)
def test_an_unknown_profile(by: list[str], told: str, imgcli: Cli, config: Callable[[str], Path]) -> None:
    """2: a profile that is not there is told with the nearest that is."""
    config("[profile.azure]\n[profile.local]\n")
    result = imgcli("gen", "a cat", "--dry-run", *by)
    assert (2, b"") == (result.exit_code, result.stdout)
    assert told in result.stderr


def test_where_an_option_was_set_is_told_by_name() -> None:
    """Whoever is told what is wrong learns where those options were set that it is about, and no others."""
    profile = AppliedProfile(places={"size": "line 3 of c.toml", "quality": "line 4 of c.toml"})
    told = profile.below(["quality"]).explained
    what = usage_error("--size and --quality are wrong.", "Try --size auto.").problem
    both = usage_error("Nothing fits.", "Try auto.", about=("size", "format", "quality")).problem
    assert what == told(what)
    assert (
        "Try auto. size comes from line 3 of c.toml. quality comes from the earlier image's parameters."
        == (told(both).advice)
    )
    assert replace(both, advice="") == replace(told(both), advice="")


def test_a_profile_without_a_file(imgcli: Cli) -> None:
    """2: who names a profile and has no file is told how to begin one."""
    result = imgcli("gen", "a cat", "--dry-run", env={"IMGCLI_PROFILE": "azure"})
    assert 2 == result.exit_code
    assert "IMGCLI_PROFILE is azure" in result.stderr
    assert "imgcli config init" in result.stderr


@pytest.mark.parametrize(
    ("text", "args", "told"),
    [
        ("\npartials = 7", [], "partials comes from line 2 of"),
        ('base-url = "ftp://x"', [], ""),
        ("timeout = 0", [], "timeout comes from line 1 of"),
        ("timeout = nan", [], "timeout comes from line 1 of"),
        (f"timeout = 1{'0' * 400}", [], "timeout comes from line 1 of"),
        ("timeout = -1e999999999", [], "timeout comes from line 1 of"),
        (f"width = {'9' * 400}", [], "width comes from line 1 of"),
        ("max-cost = 1e999999999", [], "max-cost comes from line 1 of"),
        ('size = "banana"', [], "size comes from line 1 of"),
        ('max-cost = "ten"', [], "max-cost comes from line 1 of"),
        ('format = "jpeg"\nbackground = "transparent"', [], "background comes from line 2 of"),
        ('format = "jpeg"\nbackground = "transparent"', [], "format comes from line 1 of"),
        ("embed = true", ["-o", "a.webp"], "embed comes from line 1 of"),
        ("partials = 7", ["--partials", "8"], "--partials must be between 0 and 3."),
    ],
)
def test_a_value_that_does_not_do(
    text: str, args: list[str], told: str, imgcli: Cli, config: Callable[[str], Path]
) -> None:
    """2: a value that is wrong for what was asked is told with the line that it comes from."""
    config(f"{text}\n")
    result = imgcli("gen", "a cat", *args)
    assert (2, b"") == (result.exit_code, result.stdout)
    assert told in result.stderr
    assert ("comes from" in result.stderr) is ("comes from" in told or not args)


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ('format = "webp"\ncompression = 50', ["-o", "cat.png"], {"output_format": "png"}),
        ("compression = 50", ["-o", "cat.webp"], {"output_format": "webp", "output_compression": 50}),
        ('model = "gpt-4o"\nimage-model = "gpt-image-2"', ["-m", "gpt-image-2"], {"model": "gpt-image-2"}),
        ("no-save = true", ["-o", "cat.png"], {"output_format": "png"}),
        ("keep-partials = true", ["--no-save", "--jsonl"], {}),
        ("quiet = true", ["--jsonl"], {}),
        ("plain = true", ["--preview", "half"], {}),
        ('output = "-"', ["--jsonl"], {}),
        ("partials = 2", ["--format", "gif"], {"output_format": "gif"}),
    ],
)
def test_defaults_give_way(
    text: str, args: list[str], expected: dict[str, Any], imgcli: Cli, config: Callable[[str], Path]
) -> None:
    """What is said on the command line is never refused because of what a file says."""
    config(f"{text}\n")
    model = [] if "-m" in args else ["--api", "images"]
    body = sent(imgcli("gen", "a cat", "--dry-run", *model, *args))
    assert expected == {name: body[name] for name in expected}


def test_a_switch_can_be_turned_off(imgcli: Cli, config: Callable[[str], Path], folder: Path) -> None:
    """--no-NAME turns off for one run what the file turns on."""
    config("demo = true\nquiet = true\nkeep-partials = true\n")
    quiet = imgcli("gen", "a cat", "--partials", "1")
    loud = imgcli("gen", "a dog", "--partials", "1", "--no-quiet", "--no-keep-partials")
    assert (0, "", 0) == (quiet.exit_code, quiet.stderr, loud.exit_code)
    assert "asking" in loud.stderr
    assert ["a-cat.partial", "a-cat.png", "a-dog.png"] == sorted(
        re.sub(r"(?<=partial).*", "", path.name) for path in folder.iterdir()
    )


def test_a_preview_in_the_file_is_a_habit(imgcli: Cli, config: Callable[[str], Path]) -> None:
    """A preview in the file is no order: like IMGCLI_PREVIEW it yields to --quiet."""
    config('preview = "blocks"\noutput = "~/made.png"\n')
    result = imgcli("gen", "a cat", "--demo", "--quiet")
    assert (0, "") == (result.exit_code, result.stderr)
    assert result.lines[0].endswith("/home/made.png")


def test_a_folder_in_the_file_is_made(imgcli: Cli, config: Callable[[str], Path]) -> None:
    """`output` may name a folder in my home that is not there yet, with fields in its name."""
    config('output = "~/Pictures/{date}/"\n')
    result = imgcli("gen", "a cat", "--demo", "--quiet")
    assert (0, "") == (result.exit_code, result.stderr)
    assert re.search(r"/home/Pictures/\d{4}-\d\d-\d\d/a-cat\.png$", result.lines[0])


def test_profiles_are_completed(imgcli: Cli, config: Callable[[str], Path]) -> None:
    """Tab offers the profiles of the file, and nothing of a file that is broken."""
    env = {
        "_IMGCLI_COMPLETE": "complete_bash",
        "COMP_WORDS": "imgcli gen --profile a",
        "COMP_CWORD": "3",
    }
    config("qualty = 1\n[profile.azure]\n[profile.art]\n[profile.local]\n")
    assert ["azure", "art"] == imgcli(env=env).lines
    config("[profile.azure\n")
    assert (0, b"\n") == ((done := imgcli(env=env)).exit_code, done.stdout)


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("", [], None),
        ("", ["--stream"], True),
        ("stream = true", [], True),
        ("stream = true", ["--no-stream"], None),
        ("stream = false\npartials = 2", [], "stream comes from line"),
        ("stream = false", ["--partials", "2"], "stream comes from line"),
        ("partials = 2", ["--no-stream"], None),
    ],
)
def test_what_a_gateway_is_asked_to_stream(
    text: str, args: list[str], expected: object, imgcli: Cli, server: Server, config: Callable[[str], Path]
) -> None:
    """A gateway's Images API is not streamed for nothing, for it may pay three times; the user decides."""
    config("[profile.gateway]\n" + text)
    wire = server(Reply(images_run()))
    told = ["gen", "a cat", "-m", "gpt-image-2", "--profile", "gateway", "--base-url", wire.base_url, *args]
    shown, result = imgcli(*told, "--dry-run"), imgcli(*told)
    if isinstance(expected, str):
        assert (2, 2, 0, True) == (shown.exit_code, result.exit_code, wire.posts, expected in result.stderr)
        return
    assert 0 == result.exit_code, result.stderr
    assert (expected, sent(shown)) == (wire.requests[0].json.get("stream"), wire.requests[0].json)
