"""`imgcli models`: the catalog for people and programs, and what a server says that a key can use."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import CANARY_KEY
from imgcli.api.models import read
from imgcli.core import catalog
from imgcli.core.catalog import ModelKind, ModelScope, ServerModel, list_models
from imgcli.core.errors import Charged, ExitCode, ImgcliError
from imgcli.demo.server import DemoServer
from imgcli.output.tables.models import model_page, source_page
from imgcli.output.terminal.capabilities import ColorDepth
from showing import ESCAPES, HOSTILE, Window
from terminal import PtyRun
from wire import End, Framing, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

CATALOG = catalog.load()
TODAY = date(2026, 11, 22)
WIDTH = 80


def listing(*models: dict[str, Any]) -> Reply:
    """Answer as `GET /v1/models` does."""
    body = json.dumps({"object": "list", "data": [{"object": "model"} | model for model in models]})
    return Reply(body.encode(), content_type="application/json", framing=Framing.LENGTH)


def live(imgcli: Cli, server: ScriptedServer, *args: str) -> Result:
    """Ask a scripted server, with a key that must never show up anywhere."""
    env = {"OPENAI_API_KEY": CANARY_KEY}
    done = imgcli("models", "--live", "--base-url", server.base_url, *args, env=env)
    assert CANARY_KEY not in done.stdout.decode() + done.stderr
    return done


def row(lines: list[str], name: str) -> list[str]:
    """Find a model's row, as words."""
    return next(line.split() for line in lines if line.split()[:1] == [name])


class TestTheTable:
    """What imgcli knows by itself."""

    def test_piped(self, imgcli: Cli, server: Server) -> None:
        """Piped, it is plain text in 80 columns: prices of tokens and images, their day; nobody is asked."""
        wire = server(Reply())
        done = imgcli("models", env={"OPENAI_BASE_URL": wire.base_url})
        assert (0, "", []) == (done.exit_code, done.stderr, wire.requests)
        assert [] == [line for line in done.lines if len(line) > WIDTH or not line.isprintable()]
        assert ["gpt-image-2.6-flare", "5.00", "8.00", "30.00", "-", "-", "-"] == row(
            done.lines, "gpt-image-2.6-flare"
        )
        assert ["5.00", "8.00", "30.00", "0.006", "0.053", "0.211"] == row(done.lines, "gpt-image-2")[1:]
        assert ["gpt-4o-2024-05-13"] not in [line.split()[:1] for line in done.lines]
        assert f"Standard tier prices as of {CATALOG.prices_date}" in done.lines

    def test_sources(self, imgcli: Cli) -> None:
        """What image models accept, and where each price is from, have a page of their own in 80 columns."""
        done = imgcli("models", "--sources")
        assert (0, "") == (done.exit_code, done.stderr)
        assert [] == [line for line in done.lines if len(line) > WIDTH or not line.isprintable()]
        assert ["any", "to", "max", *["yes"] * 4, "unknown"] == row(done.lines, "gpt-image-2.6-flare")[1:]
        at = done.lines.index("2026-11-05  apidog and apiyi, 5 November 2026; a reseller's figure")
        assert "gpt-image-2.6-flare" == done.lines[at + 1].strip()
        named = " ".join(done.lines).replace(",", " ").split()
        assert [] == [name for name in ("gpt-5.6-sol", "gpt-6.2-sol", "gpt-image-2") if name not in named]

    def test_options_of_one(self, imgcli: Cli) -> None:
        """One model has a page with every option of its own and the values that it takes; so has JSON."""
        for name, options in (
            (
                "gpt-image-2.6-flare",
                {"--frames": "2 to 16, for gif", "--markup": "yes", "--input-fidelity": "unknown"},
            ),
            ("gpt-image-1-mini", {"--frames": "no", "--input-fidelity": "low", "--format": "png jpeg webp"}),
            ("gpt-6-luna", {"--action": "auto generate edit", "--service-tier": "yes"}),
        ):
            lines = imgcli("models", name).lines
            assert [] == [line for line in lines if len(line) > WIDTH]
            assert options.items() <= {line[:20].strip(): line[20:].strip() for line in lines}.items()
        (told,) = json.loads(imgcli("models", "gpt-image-2", "--json").stdout)["models"]
        assert (["auto", "low", "medium", "high"], None, False) == tuple(
            told["options"][name] for name in ("quality", "complexity", "markup")
        )
        unknown = imgcli("models", "gpt-imag-2")
        assert (2, True) == (unknown.exit_code, "Did you mean gpt-image-2?" in unknown.stderr)

    def test_on_a_terminal(self, world: dict[str, str], folder: Path) -> None:
        """In a window of 80 columns no row of a table is broken."""
        env = world | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        with PtyRun(["models"], env, folder, columns=WIDTH, rows=80) as run:
            assert 0 == run.finish()
            names = [model.name for model in CATALOG.models if model.prices and model.shutdown is None]
            assert [True] * len(names) == [any(line.startswith(name) for line in run.lines) for name in names]
            assert ["30.00", "-", "-", "-"] == row(run.lines, "gpt-image-2.6-sunburst")[-4:]
        assert b"\x1b[" in run.raw

    def test_in_a_narrow_window(self, world: dict[str, str], folder: Path) -> None:
        """In 50 columns the tables go without their least columns, and say so; no name or price is broken."""
        env = world | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        with PtyRun(["models"], env, folder, columns=50, rows=100) as run:
            assert 0 == run.finish()
        assert ["gpt-image-2", "30.00", "0.006", "0.211"] == row(run.lines, "gpt-image-2")
        assert ["gpt-5.4-mini", "0.75", "0.075", "4.50"] == row(run.lines, "gpt-5.4-mini")
        words = " ".join(run.lines)
        assert "Hidden in this narrow window: shutdown, replacement, text, image, med" in words

    def test_as_json(self, imgcli: Cli) -> None:
        """Programs get everything, exact, in one document; the key's part is null when nobody was asked."""
        done = imgcli("models", "--json", "--all")
        found = json.loads(done.stdout)
        models = {model["name"]: model for model in found["models"]}
        assert (0, len(CATALOG.models)) == (done.exit_code, len(models))
        assert {None} == {model["usable"] for model in models.values()}
        mini = models["gpt-image-1-mini"]
        assert ("image", ["1024x1024", "1536x1024", "1024x1536"], 8.0, "2026-08-21", "2026-12-01") == (
            mini["kind"],
            mini["sizes"],
            mini["prices"]["image_out"],
            mini["prices"]["date"],
            mini["shutdown"],
        )
        assert (True, None) == (models["dall-e-2"]["gone"], models["dall-e-2"]["prices"])

    def test_gone_models(self) -> None:
        """Models that have gone are left out, and named in a table of their own when asked for."""
        usual = model_page(list_models(CATALOG, TODAY)).lines
        everything = model_page(list_models(CATALOG, TODAY, ModelScope.ALL)).lines
        assert [] == [line for line in usual if "dall-e" in line or line == "Shut down"]
        assert "dall-e-3             2026-05-12  gpt-image-2.6-sunburst" in everything
        assert 0 == everything.index("Shut down")

    def test_deprecated_models(self) -> None:
        """A model that is going has its date, and what to use instead; on that day it has gone."""
        lines = model_page(list_models(CATALOG, TODAY)).lines
        assert "2026-12-01" in row(lines, "gpt-image-1.5")
        assert ["2027-01-14", "gpt-6-luna"] == row(lines, "gpt-4o")[-2:]
        names = "gpt-image-1.5, chatgpt-image-latest, gpt-image-1-mini"
        notes = " ".join(" ".join(source_page(list_models(CATALOG, TODAY)).notes).split())
        assert f"replacement for {names}: gpt-image-2.6-sunburst" in notes
        after = model_page(list_models(CATALOG, date(2026, 12, 1))).lines
        assert [] == [line for line in after if line.startswith("gpt-image-1.5")]

    def test_defaults(self) -> None:
        """The models that are taken when nobody names one are marked, also after the change in January."""
        marked = [
            [
                line.split()[0]
                for line in model_page(list_models(CATALOG, day)).lines
                if line.split()[1:2] == ["*"]
            ]
            for day in (TODAY, date(2027, 1, 14))
        ]
        image = CATALOG.default_image_model
        assert [["gpt-4o-mini", image], ["gpt-6-luna", image]] == marked

    @pytest.mark.parametrize("columns", [10, 30, 79, 80, 200])
    def test_any_width(self, columns: int) -> None:
        """However narrow the window, every line fits, or it is plain text."""
        found = list_models(CATALOG, TODAY, ModelScope.ALL)
        terminal = Window().terminal(ColorDepth.TRUECOLOR)
        lines = [*model_page(found).drawn(terminal, columns), *source_page(found).drawn(terminal, columns)]
        widths = [len(ESCAPES.sub("", line)) for line in lines]
        assert columns < 20 or max(widths) <= columns


class TestLive:
    """What a server says."""

    def test_what_the_key_can_use(self, imgcli: Cli, server: Server) -> None:
        """Asked once: each model is marked, new dates are told, and models that imgcli does not know."""
        wire = server(
            listing(
                {"id": "gpt-image-2", "shutdown_date": "2027-08-01"},
                {"id": "gpt-image-2-2026-04-21", "shutdown_date": "2027-08-01"},
                {"id": "gpt-6-luna", "shutdown_date": "2999-01-14"},
                {"id": "gpt-5.6", "shutdown_date": None},
                {"id": "gpt-image-1"},
                {"id": f"gpt-image-3 {HOSTILE}", "shutdown_date": "2028-01-01"},
                {"id": "whisper-1"},
                {"id": "tts-1"},
            )
        )
        done = live(imgcli, wire)
        assert (0, "") == (done.exit_code, done.stderr)
        assert [("GET", "/v1/models")] == [(request.method, request.path) for request in wire.requests]
        assert "Bearer " + CANARY_KEY != wire.requests[0].headers["authorization"]
        assert ["2027-08-01!", "yes"] == row(done.lines, "gpt-image-2")[-2:]
        assert "!  shutdown date from the server, not in imgcli's own table" in done.lines
        assert ["2999-01-14!", "yes"] == row(done.lines, "gpt-6-luna")[-2:]
        assert ["no"] == row(done.lines, "gpt-5.2")[-1:]
        assert ["yes"] == row(done.lines, "gpt-5.6-sol")[-1:]  # its other name is listed
        assert ["yes"] == row(done.lines, "gpt-image-1")[-1:]  # gone by the catalog, there by the server
        (stranger,) = (line for line in done.lines if line.startswith("Image models unknown to imgcli"))
        assert "gpt-image-3 " in stranger
        assert "(until 2028-01-01)" in stranger
        assert stranger.isprintable()
        assert "Other models on the server (2): tts-1, whisper-1" in done.lines

    def test_the_stand_in(self, imgcli: Cli) -> None:
        """The demo server has every model, with OpenAI's own dates."""
        with DemoServer(pace=0) as demo:
            done = imgcli("models", "--live", "--json", "--base-url", demo.base_url)
        found = json.loads(done.stdout)
        assert (0, {True}, {False}) == (
            done.exit_code,
            {model["usable"] for model in found["models"]},
            {model["shutdown_is_news"] for model in found["models"]},
        )
        assert ([], ["gpt-5.2-pro"]) == (
            found["unknown_image_models"],
            [model["name"] for model in found["other_models"]],
        )

    def test_a_server_of_other_models(self, imgcli: Cli, server: Server) -> None:
        """A compatible server's own models are named, whatever they are called."""
        done = live(imgcli, server(listing({"id": "sd-cpp-local"})))
        assert 0 == done.exit_code
        assert "Other models on the server (1): sd-cpp-local" in done.lines
        assert ["no"] == row(done.lines, "gpt-image-2")[-1:]

    @pytest.mark.parametrize(
        ("reply", "code", "told"),
        [
            (error_reply(401, "Incorrect API key", "invalid_api_key"), 4, "does not send OPENAI_API_KEY"),
            (error_reply(403, "Missing scopes: api.model.read"), 4, '"List models: Read"'),
            (error_reply(404, "Not found"), 5, "some servers do not list their models"),
            (error_reply(302, headers=(("location", "https://elsewhere.example/"),)), 5, "redirects"),
            (Reply(b"<html>Sign in</html>", content_type="text/html"), 5, "not answer with a list of models"),
            (error_reply(429, "Slow down", "rate_limit_exceeded"), 6, "Slow down"),
            (error_reply(429, "No quota", "insufficient_quota", "insufficient_quota"), 7, "No quota"),
            (error_reply(500, "Oops"), 9, "Listing models is free: run it again."),
            (
                replace(listing({"id": "a"}), framing=Framing.CHUNKED, end=End.FIN),
                9,
                "Listing models is free",
            ),
            (Reply(end=End.SILENT), 9, "was silent for 0.5 s"),
        ],
        ids=["key", "scope", "missing", "redirect", "page", "busy", "quota", "broken", "cut", "silent"],
    )
    def test_failures(self, reply: Reply, code: int, told: str, imgcli: Cli, server: Server) -> None:
        """Every failure has its usual exit code and an advice, was asked once, and is no matter of money."""
        wire = server(reply)
        done = live(imgcli, wire, "--timeout", "0.5")
        assert (code, b"", 1) == (done.exit_code, done.stdout, len(wire.requests))
        assert told in done.stderr
        assert "charged" not in done.stderr

    def test_nobody_there(self, imgcli: Cli) -> None:
        """Without a server there, without a key, with a wrong number of seconds: nothing is sent."""
        cases = {
            ("--base-url", "http://127.0.0.1:1/v1"): (8, "Cannot connect to 127.0.0.1:1"),
            (): (4, "There is no API key"),
            ("--timeout", "0"): (2, "--timeout must be between 0.1 and 86,400."),
        }
        for args, (code, told) in cases.items():
            done = imgcli("models", "--live", *args)
            assert (code, b"", True) == (done.exit_code, done.stdout, told in done.stderr)


class TestReading:
    """Lists from strangers."""

    def test_what_counts(self) -> None:
        """Names and dates are taken where they are; what is no model is left out."""
        entries = [
            {"id": "a", "shutdown_date": "2027-01-14"},
            {"id": "b", "shutdown_date": "soon"},
            {"id": "c", "shutdown_date": 20270114},
            {"id": 7},
            {"id": ""},
            {"id": "x" * 201},
            None,
            [],
            {"id": "sk-abcdefgh12345678"},
        ]
        hidden = ServerModel("[hidden]")
        assert (ServerModel("a", date(2027, 1, 14)), ServerModel("b"), ServerModel("c"), hidden) == read(
            json.dumps({"data": entries}).encode()
        )

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"{}", b'{"data": {}}', b"\xff", b"[" * 100_000, b'{"data": null}']
    )
    def test_no_list(self, body: bytes) -> None:
        """What is no list of models is the wrong address."""
        with pytest.raises(ImgcliError) as caught:
            read(body)
        problem = caught.value.problem
        assert (ExitCode.REFUSED, Charged.NO) == (problem.exit_code, problem.charged)

    def test_an_empty_list(self) -> None:
        """A key that may use nothing is an answer too."""
        found = list_models(CATALOG, TODAY, listing=read(b'{"data": []}'))
        assert {False} == {entry.is_usable for entry in found.entries}

    @given(
        st.recursive(st.none() | st.integers() | st.text(), st.lists), st.dictionaries(st.text(), st.text())
    )
    def test_anything(self, entry: Any, fields: dict[str, str]) -> None:
        """No list makes it raise, or the table."""
        models = read(json.dumps({"data": [entry, fields, {"id": "gpt-image-9"}]}).encode())
        lines = model_page(list_models(CATALOG, TODAY, listing=models)).lines
        assert any("gpt-image-9" in line for line in lines)


@given(st.sets(st.sampled_from([model.name for model in CATALOG.models])), st.dates(date(2026, 1, 1)))
def test_what_the_server_has_is_there(names: set[str], today: date) -> None:
    """A model that the server lists is never left out, whatever the catalog says of its end."""
    found = list_models(CATALOG, today, listing=[ServerModel(name) for name in names])
    usable = {entry.model.name for entry in found.entries if entry.is_usable}
    assert names == usable
    assert ((), ()) == (found.unknown_image_models, found.others)
    shown = (*found.of(ModelKind.IMAGE), *found.of(ModelKind.TEXT))
    assert usable <= {entry.model.name for entry in shown}
