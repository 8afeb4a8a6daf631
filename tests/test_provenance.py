"""`imgcli verify`: what the bytes, the history and a server say, and what follows from it."""

from __future__ import annotations

import io
import json
import os
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import CANARY_KEY
from earlier import remember, sha
from imgcli.api.provenance import read
from imgcli.core.embedded import EmbeddedParameters, embed
from imgcli.core.errors import ExitCode, ImgcliError, most_severe
from imgcli.core.image import EncodedImage
from imgcli.core.provenance import ManifestState
from imgcli.demo.provenance import find_mark, mark
from imgcli.demo.server import DemoServer
from imgcli.store.verify import examine
from showing import ESCAPES
from streams import BLUE, GREEN, RED, whole_run
from terminal import PtyRun
from test_content_credentials import MANIFEST
from test_demo_server import ask
from test_embedded import chunk
from wire import End, Framing, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

HOSTILE = "\x1b]0;x\x07evil\u202e"
PROVES_NOTHING = "nothing was found or detected proves nothing"
LIBRARY = """
import json
class _Closing:
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def close(self):
        pass
class Context(_Closing):
    @classmethod
    def from_dict(cls, settings):
        assert settings["verify"] == {"remote_manifest_fetch": False, "ocsp_fetch": False}
        if "zz" in settings.get("trust", {}).get("trust_anchors", ""):
            raise ValueError("bad certificate")
        return cls()
class Reader(_Closing):
    @classmethod
    def try_create(cls, mime, stream, context):
        assert mime == "image/png"
        reader, data = cls(), stream.read()
        reader.store = next(store for name, store in STORES.items() if f"case {name}.".encode() in data)
        if reader.store == "broken":
            raise RuntimeError("broken box")
        return reader if reader.store else None
    def json(self):
        return json.dumps(self.store)
"""
BY = "signed by Acme evil\ufffd"
MANIFESTS = {
    "trusted": ("Trusted", None, 0, f"intact, {BY} (trusted), made with Painter"),
    "valid": (
        "Valid",
        "signingCredential.untrusted",
        14,
        f"intact, {BY} (on no trust list here), made with Painter",
    ),
    "changed": (
        "Invalid",
        "assertion.dataHash.mismatch",
        13,
        f"does not fit this file, {BY}, made with Painter (assertion.dataHash.mismatch)",
    ),
    "expired": (
        "Invalid",
        "signingCredential.expired",
        14,
        f"not valid, {BY}, made with Painter (signingCredential.expired)",
    ),
    "odd": ("Marvellous", None, 14, "cannot be read, made with Painter"),
    "none": (None, None, 14, "none"),
    "broken": ("broken", None, 14, "cannot be read (broken box)"),
}
"""What the library finds, with which fault; the exit code, and what is told."""


def results(c2pa: dict[str, Any] | None, synthid: dict[str, Any] | None) -> Reply:
    """Answer as `POST /content_provenance_checks` does."""
    told = [{"type": "c2pa", **(c2pa or {})}] if c2pa is not None else []
    told += [{"type": "synthid", **(synthid or {})}] if synthid is not None else []
    body = {"object": "content_provenance_check", "created_at": 1764500000, "results": told}
    return Reply(json.dumps(body).encode(), content_type="application/json", framing=Framing.LENGTH)


def c2pa(state: str, outcome: str = "detected", **more: Any) -> dict[str, Any]:
    """Build the result about C2PA."""
    return {"outcome": outcome, "validation_state": state, **more}


FOUND, NOT_FOUND = {"outcome": "detected"}, {"outcome": "not_detected"}


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def signed(data: bytes, case: str = "") -> bytes:
    """Put a manifest, of which only the box is there, into a whole PNG behind its header."""
    return data[:33] + chunk(b"caBX", MANIFEST + f"case {case}.".encode()) + data[33:]


def _store(state: str | None, fault: str | None) -> Any:
    """Build the report of the library on a manifest."""
    if state in {None, "broken"}:
        return state
    signature = {"issuer": "Acme evil\u202e"}
    manifest = {"claim_generator_info": [{"name": "Painter"}], "signature_info": signature}
    failures = [{"code": fault}] if fault else []
    return {
        "active_manifest": "urn:1",
        "manifests": {"urn:1": manifest},
        "validation_state": state,
        "validation_results": {"activeManifest": {"failure": failures}},
    }


def verdicts(done: Result) -> list[tuple[str, str, int]]:
    """Return the headline of each JSON object: file, verdict, exit code."""
    return [(one["asked"], one["verdict"], one["exit_code"]) for one in map(json.loads, done.lines)]


def online(imgcli: Cli, server: ScriptedServer, *args: str) -> Result:
    """Verify with a scripted server, with a key that must never show up anywhere."""
    env = {"OPENAI_API_KEY": CANARY_KEY}
    done = imgcli("verify", "--online", "--base-url", server.base_url, *args, env=env)
    assert CANARY_KEY not in done.stdout.decode() + done.stderr
    assert "charged" not in done.stderr
    return done


class TestTheHistory:
    """What this machine remembers."""

    def test_as_it_came_embedded_and_stripped(
        self, server: Server, gen: Gen, imgcli: Cli, folder: Path
    ) -> None:
        """Saved bytes are unchanged under any name; embedding alters, and stripping undoes it."""
        wire = server(Reply(whole_run(RED)), Reply(whole_run(BLUE)))
        assert 0 == gen(wire, "a cat", "-o", "cat.png").exit_code
        assert 0 == gen(wire, "a dog", "-o", "dog.png", "--embed").exit_code
        (folder / "cat.png").rename(folder / "moved.png")
        embedded = (folder / "dog.png").read_bytes()
        (folder / "bare.png").write_bytes(BLUE)
        (folder / "moved.png").with_name("late.png").write_bytes(embed(RED, EmbeddedParameters("a cat")))
        done = imgcli("verify", "moved.png", "dog.png", "bare.png", "late.png", "--json")
        assert [
            ("moved.png", "unchanged", 0),
            ("dog.png", "altered", 13),
            ("bare.png", "unchanged", 0),
            ("late.png", "altered", 13),
        ] == verdicts(done)
        states = [(one["history"]["state"], one["history"]["id"]) for one in map(json.loads, done.lines)]
        assert [("unchanged", 1), ("embedded", 2), ("received", 2), ("embedded", 1)] == states
        assert (13, 2) == (done.exit_code, wire.posts)
        assert 0 == imgcli("strip", "dog.png").exit_code
        shown = imgcli("verify", "dog.png")
        assert (0, BLUE, "dog.png: unchanged") == (
            shown.exit_code,
            (folder / "dog.png").read_bytes(),
            shown.lines[0],
        )
        assert embedded != BLUE
        assert "as it came, its embedded parameters are removed" in shown.stdout.decode()

    def test_other_bytes_under_its_name(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """A byte more, another image in its place, a name in the embedded parameters: each is a change."""
        remember(world, (RED, folder / "a.png"), (BLUE, folder / "b.png"))
        (folder / "a.png").write_bytes(RED + b"\n")
        (folder / "b.png").write_bytes(GREEN)
        named = EmbeddedParameters("a cat", sha256=sha(RED))
        (folder / "c.png").write_bytes(embed(GREEN, named))
        done = imgcli("verify", "a.png", "b.png", "c.png", "--json")
        assert ["altered"] * 3 == [verdict for _, verdict, _ in verdicts(done)]
        assert ["changed"] * 3 == [json.loads(line)["history"]["state"] for line in done.lines]
        assert 13 == done.exit_code

    def test_a_run(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """An id stands for every file of a run, and one that was changed is not passed over."""
        remember(world, (RED, folder / "a.png"), (BLUE, folder / "b.png"), (GREEN, folder / "c.png"))
        (folder / "b.png").write_bytes(GREEN[:-1])
        (folder / "c.png").unlink()
        done = imgcli("verify", "last", "--json")
        assert [("a.png", "unchanged", 0), ("b.png", "altered", 13)] == [
            (Path(name).name, *rest) for name, *rest in verdicts(done)
        ]
        assert (13, True) == (done.exit_code, "c.png cannot be read: No such file" in done.stderr)

    def test_a_history_that_cannot_be_read(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """The file alone is used then, which a note says once."""
        (folder / "a.png").write_bytes(RED)
        Path(world["XDG_DATA_HOME"]).mkdir()
        Path(world["XDG_DATA_HOME"], "imgcli").write_text("no folder")
        done = imgcli("verify", "a.png", "a.png", "--json")
        assert ["unavailable"] * 2 == [json.loads(line)["history"]["state"] for line in done.lines]
        assert (14, 1) == (done.exit_code, done.stderr.count("only the file itself is used"))

    @pytest.mark.parametrize("is_writable", [True, False])
    def test_a_history_of_before(
        self, *, is_writable: bool, mortal: Cli, world: dict[str, str], folder: Path
    ) -> None:
        """One that an earlier imgcli wrote is read, and gets what it lacks only where it can be written."""
        remember(world, (RED, folder / "a.png"))
        (folder / "b.png").write_bytes(BLUE)
        place = Path(world["XDG_DATA_HOME"], "imgcli")
        with closing(sqlite3.connect(place / "history.sqlite3")) as raw:
            raw.execute("ALTER TABLE pictures DROP COLUMN received")
            raw.execute("PRAGMA journal_mode = DELETE")
        if not is_writable:
            (place / "history.sqlite3").chmod(0o400)
            place.chmod(0o500)
        done = mortal("verify", "a.png", "b.png", "--json")
        place.chmod(0o700)
        states = [json.loads(line)["history"]["state"] for line in done.lines]
        assert (14, "", ["unchanged", "unknown"]) == (done.exit_code, done.stderr, states)
        with closing(sqlite3.connect(place / "history.sqlite3")) as raw:
            columns = [row[1] for row in raw.execute("PRAGMA table_info(pictures)")]
        assert is_writable == ("received" in columns)


class TestTheBytes:
    """What a file says by itself."""

    def test_nobody_can_tell(self, imgcli: Cli, folder: Path) -> None:
        """Without any sign it is 14; why that proves nothing is said once, in the end."""
        (folder / "a.png").write_bytes(RED)
        done = imgcli("verify", "a.png", "a.png")
        assert (14, "", 1) == (done.exit_code, done.stderr, done.stdout.decode().count(PROVES_NOTHING))
        assert ["a.png: no evidence"] * 2 == [line for line in done.lines if line.startswith("a.png")]

    def test_a_manifest_without_the_library(self, imgcli: Cli, folder: Path) -> None:
        """A manifest is reported as not checked, with the command that installs what checks it."""
        (folder / "a.png").write_bytes(signed(RED))
        done = imgcli("verify", "a.png", "--json")
        assert "unchecked" == json.loads(done.stdout)["manifest"]["state"]
        assert (
            "present, not checked; pip install 'imgcli[provenance]'"
            in imgcli("verify", "a.png").stdout.decode()
        )

    def test_a_manifest_with_the_library(self, imgcli: Cli, folder: Path) -> None:
        """The library's word counts: only a trusted signature vouches, only one that does not fit accuses."""
        stores = {name: _store(state, fault) for name, (state, fault, _, _) in MANIFESTS.items()}
        for name in MANIFESTS:
            (folder / f"{name}.png").write_bytes(signed(RED, name))
        (folder / "c2pa.py").write_text(f"{LIBRARY}STORES = json.loads({json.dumps(stores)!r})\n")
        names = [f"{name}.png" for name in MANIFESTS]
        env = {"PYTHONPATH": str(folder)}
        shown, done = (imgcli("verify", *names, *more, env=env) for more in ([], ["--json"]))
        codes = {name: code for name, _, code in verdicts(done)}
        assert {f"{name}.png": code for name, (_, _, code, _) in MANIFESTS.items()} == codes
        assert (13, "", 13, "") == (shown.exit_code, shown.stderr, done.exit_code, done.stderr)
        blocks = shown.stdout.decode().split("\n\n")
        lines = [next(line for line in block.splitlines() if "manifest" in line) for block in blocks[:-1]]
        assert [f"  manifest  {told}" for *_, told in MANIFESTS.values()] == lines

    @pytest.mark.slow
    def test_a_trust_list(self, imgcli: Cli, folder: Path) -> None:
        """It has to be there, and to have certificates; nothing is verified without it."""
        (folder / "a.png").write_bytes(RED)
        (folder / "list.pem").write_text("no certificates")
        (folder / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nzz\n")
        (folder / "good.pem").write_text("-----BEGIN CERTIFICATE-----\nAA\n")
        (folder / "c2pa.py").write_text(LIBRARY)
        env = {"PYTHONPATH": str(folder)}
        assert 14 == imgcli("verify", "a.png", "--trust-list", "good.pem", env=env).exit_code
        cases = {
            "list.pem": "it has no certificate",
            "bad.pem": "which this is not: bad certificate.",
            "gone.pem": "No such file",
        }
        for name, told in cases.items():
            done = imgcli("verify", "a.png", "--trust-list", name, env=env)
            assert (2, b"", True) == (done.exit_code, done.stdout, told in done.stderr)

    @pytest.mark.parametrize("data", [RED[:-5], RED[:60] + b"?" + RED[61:]], ids=["cut", "a byte"])
    def test_damage(self, data: bytes, imgcli: Cli, folder: Path) -> None:
        """A file that is no whole image is not as it was made, whoever made it."""
        (folder / "a.png").write_bytes(data)
        done = imgcli("verify", "a.png")
        assert (13, "a.png: altered after it was made") == (done.exit_code, done.lines[0])
        assert "the png data is cut short or altered" in done.stdout.decode()

    def test_it_came_damaged(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """What a run saved as it came is unchanged, damaged or not."""
        remember(world, (RED[:-5], folder / "a.png"))
        assert 0 == imgcli("verify", "a.png").exit_code

    def test_what_is_no_image(self, imgcli: Cli, folder: Path) -> None:
        """A text, a folder, a pipe, nothing at all: each is one error, and the others are verified."""
        (folder / "a.txt").write_text("<html>")
        (folder / "empty.png").touch()
        (folder / "a.png").write_bytes(RED)
        os.mkfifo(folder / "pipe.png")
        names = ["a.txt", "empty.png", ".", "pipe.png", "gone.png", "", "a.png"]
        done = imgcli("verify", *names, "--json")
        assert (2, [("a.png", "no_evidence", 14)]) == (done.exit_code, verdicts(done))
        assert 6 == done.stderr.count("error: ")
        for told in ("a.txt is not a PNG", "is empty", "is a folder", "is a pipe", "No such file"):
            assert told in done.stderr

    def test_hostile_names(self, imgcli: Cli, folder: Path) -> None:
        """A name cannot act on the terminal, and JSON has it whole."""
        name = f"{HOSTILE}.png"
        (folder / name).write_bytes(RED)
        done = imgcli("verify", name, f"{HOSTILE}.gone")
        assert "\x1b" not in done.stdout.decode() + done.stderr
        assert [name] == [asked for asked, _, _ in verdicts(imgcli("verify", name, "--json"))]

    def test_on_a_terminal(self, world: dict[str, str], folder: Path) -> None:
        """In a window of 60 columns no line is broken by the terminal."""
        (folder / "a.png").write_bytes(RED)
        with PtyRun(["verify", "a.png"], world | {"TERM": "xterm"}, folder, columns=60, rows=40) as run:
            assert 14 == run.finish()
        lines = ESCAPES.sub("", run.raw.decode()).splitlines()
        assert 60 > max(map(len, lines))


class TestOnline:
    """What a server says."""

    @pytest.mark.parametrize(
        ("reply", "code", "told"),
        [
            (
                results(
                    c2pa(
                        "trusted",
                        issuer=f"OpenAI {HOSTILE}",
                        model="gpt-image-2",
                        generated_at="2026-11-28T10:00:00Z",
                    ),
                    FOUND,
                ),
                0,
                "C2PA detected: trusted, signed by OpenAI \ufffd]0;x\ufffdevil\ufffd, gpt-image-2, 2026-",
            ),
            (results(c2pa("valid"), NOT_FOUND), 0, "SynthID not detected"),
            (results(c2pa("trusted", "not_detected"), NOT_FOUND), 0, "C2PA not detected: trusted"),
            (results(c2pa("valid", "not_detected"), FOUND), 14, "the signer is on no trust list"),
            (results(c2pa("invalid", "not_detected"), FOUND), 13, "invalid, it does not fit this file"),
            (results(c2pa("not_present", "not_detected"), FOUND | {"model": "m"}), 14, "SynthID detected: m"),
            (results(c2pa("not_present", "not_detected"), NOT_FOUND), 14, "C2PA not detected: no manifest"),
            (results(c2pa("sealed"), None), 14, "SynthID not checked"),
            (results(None, None), 14, "C2PA not checked"),
        ],
    )
    def test_answers(
        self, reply: Reply, code: int, told: str, imgcli: Cli, server: Server, folder: Path
    ) -> None:
        """Every answer has its words and its exit code; a watermark alone does not say "unchanged"."""
        (folder / "a.png").write_bytes(RED)
        wire = server(reply)
        done = online(imgcli, wire, "a.png")
        assert (code, 1) == (done.exit_code, wire.posts), done.stdout
        assert told in done.stdout.decode()
        assert "\x1b" not in done.stdout.decode()
        assert f"note: uploading a.png ({len(RED)} bytes) to 127.0.0.1:{wire.port}\n" == done.stderr

    def test_what_is_sent(self, imgcli: Cli, server: Server, folder: Path) -> None:
        """The file goes out whole, as a form, under a name that tells nothing of this machine."""
        (folder / "secret-name.png").write_bytes(RED)
        wire = server(results(c2pa("trusted"), FOUND))
        online(imgcli, wire, "secret-name.png")
        (request,) = wire.requests
        assert ("POST", "/v1/content_provenance_checks") == (request.method, request.path)
        assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
        assert int(request.headers["content-length"]) == len(request.body)
        assert RED in request.body
        assert b'name="file"; filename="image.png"\r\nContent-Type: image/png\r\n' in request.body
        assert b"secret-name" not in request.body

    def test_nothing_is_sent_unasked(self, imgcli: Cli, server: Server, folder: Path) -> None:
        """Without --online nobody is asked, whatever the environment says."""
        (folder / "a.png").write_bytes(RED)
        wire = server(Reply())
        env = {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": CANARY_KEY}
        assert (14, []) == (imgcli("verify", "a.png", env=env).exit_code, wire.requests)

    @pytest.mark.parametrize(
        ("reply", "ends"),
        [
            (error_reply(401, "Incorrect API key", "invalid_api_key"), (4, "refused the API key", 1)),
            (error_reply(403, "Missing scopes"), (4, "may check provenance", 1)),
            (error_reply(404, "Invalid URL"), (5, "seems to have no provenance checks", 1)),
            (Reply(b"<html>Hi</html>", content_type="text/html"), (5, "did not answer with the results", 1)),
            (error_reply(400, "Bad", "invalid_image_file"), (5, "refused the file (HTTP 400): Bad", 2)),
            (error_reply(413, "Too large"), (5, "too large for the server", 2)),
            (error_reply(429, "Slow down", "rate_limit_exceeded"), (6, "Slow down", 1)),
            (error_reply(500, "Oops"), (9, "was not checked: run it again", 1)),
            (Reply(end=End.SILENT), (9, "was silent for 0.5 s", 1)),
        ],
        ids=["key", "scope", "missing", "page", "file", "large", "busy", "broken", "silent"],
    )
    def test_failures(
        self, reply: Reply, ends: tuple[int, str, int], imgcli: Cli, server: Server, folder: Path
    ) -> None:
        """A failure has its exit code, and is not repeated for the next file unless it is about one file."""
        (folder / "a.png").write_bytes(RED)
        (folder / "b.png").write_bytes(BLUE)
        wire, (code, told, posts) = server(reply), ends
        done = online(imgcli, wire, "a.png", "b.png", "--timeout", "0.5", "--json")
        assert (code, posts) == (done.exit_code, wire.posts), done.stderr
        assert told in done.stderr
        assert [code, code] == [one for _, _, one in verdicts(done)]
        errors = [json.loads(line)["server"]["error"] for line in done.lines]
        assert [ExitCode(code).kind] * 2 == [error["kind"] for error in errors]

    def test_a_change_outweighs_a_failure(
        self, imgcli: Cli, server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """A file that is known to be altered stays so when the server cannot be asked; others do not."""
        remember(world, (RED, folder / "a.png"), (BLUE, folder / "b.png"))
        (folder / "a.png").write_bytes(GREEN)
        done = online(imgcli, server(error_reply(401, "No", "invalid_api_key")), "a.png", "b.png", "--json")
        assert [("a.png", "altered", 13), ("b.png", "unchanged", 4)] == verdicts(done)
        assert 13 == done.exit_code

    def test_what_cannot_be_asked(self, imgcli: Cli, server: Server, folder: Path) -> None:
        """An SVG is not uploaded; without a key, or for a bare --demo, nothing is verified at all."""
        (folder / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        wire = server(Reply())
        done = online(imgcli, wire, "a.svg")
        assert (14, [], True) == (done.exit_code, wire.requests, b"not asked: it checks PNG" in done.stdout)
        for args, code in ((["--online"], 4), (["--demo"], 2)):
            refused = imgcli("verify", "a.svg", *args)
            assert (code, b"") == (refused.exit_code, refused.stdout)

    @given(st.binary(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(_encoded))
    def test_answers_of_strangers(self, body: bytes) -> None:
        """Whatever a server answers, it is either read or refused."""
        with pytest.raises(ImgcliError) as caught:
            read(body, "host")
        assert ExitCode.REFUSED is caught.value.problem.exit_code

    @pytest.mark.parametrize(
        "entry", [None, [], 7, {"type": "c2pa"}, {"type": "c2pa", "validation_state": []}]
    )
    def test_odd_results(self, entry: object) -> None:
        """A result without what it should have vouches for nothing."""
        found = read(json.dumps({"results": [entry]}).encode(), "host").c2pa
        assert found is None or (False, False, ManifestState.UNKNOWN) == (
            found.is_trusted,
            found.is_detected,
            found.state,
        )


class TestTheDemo:
    """The stand-in recognizes its own images."""

    def test_its_own(self, imgcli: Cli) -> None:
        """An image of the demo is trusted by it."""
        assert 0 == imgcli("gen", "a cat", "--demo", "-q", "--no-history", "-o", "a.webp").exit_code
        done = imgcli("verify", "a.webp", "--online", "--demo", "--json")
        server = json.loads(done.stdout)["server"]
        assert (0, "trusted", True) == (
            done.exit_code,
            server["c2pa"]["validation_state"],
            server["synthid"]["detected"],
        )

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
    def test_its_mark(self, kind: str) -> None:
        """The mark leaves a whole image, and fits nothing that has changed by a bit or by a byte."""
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), "red").save(buffer, kind)
        data = mark(buffer.getvalue())
        assert (None, None) == (find_mark(buffer.getvalue()), examine(EncodedImage.of(data)).damage)
        flipped = [data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :] for at in range(12, len(data))]
        assert {True} == {find_mark(data)}
        assert True not in {find_mark(one) for one in (*flipped, data + b"x", data[:-1])}

    def test_through_openais_client(self) -> None:
        """OpenAI's own client gets what it expects."""
        with (
            DemoServer(pace=0) as demo,
            openai.OpenAI(base_url=demo.base_url, api_key="demo", max_retries=0) as client,
        ):
            for data, state in ((mark(RED), "trusted"), (RED, "not_present"), (embedded(), "invalid")):
                answer = client.content_provenance_checks.create(file=("a.png", data, "image/png"))
                first, second = answer.results
                assert ("c2pa", "synthid") == (first.type, second.type)
                assert state == getattr(first, "validation_state", None)

    @pytest.mark.parametrize(
        ("parts", "code"),
        [
            ([], "missing_required_parameter"),
            ([("file", "a.txt", "text/plain", b"x")], "unsupported_file_mimetype"),
            ([("file", "a.png", "image/png", b"x")], "invalid_image_file"),
            ([("file", "a.png", "image/png", b"")], "empty_image_file"),
            ([("image", "a.png", "image/png", RED)], "unknown_parameter"),
            ([("file", "a.png", "image/png", RED)] * 2, "array_above_max_length"),
            ([("file", "a.png", "image/png", b"\0" * (50 * 1024 * 1024 + 1))], "image_file_too_large"),
        ],
        ids=["none", "text", "broken", "empty", "name", "two", "large"],
    )
    def test_refusals(self, parts: list[tuple[str, str, str, bytes]], code: str) -> None:
        """It refuses what OpenAI would: no file, none that it can read, one that is too large."""
        head = '--B\r\nContent-Disposition: form-data; name="{}"; filename="{}"\r\nContent-Type: {}\r\n\r\n'
        body = b"".join(head.format(*told).encode() + data + b"\r\n" for *told, data in parts) + b"--B--\r\n"
        headers = {"Authorization": "Bearer demo", "Content-Type": "multipart/form-data; boundary=B"}
        with DemoServer(pace=0) as demo:
            answer = ask(demo, "POST", "content_provenance_checks", body, headers)
            plain = ask(demo, "POST", "content_provenance_checks", {"file": "x"})
        assert (400, code) == (answer.status, answer.error["code"])
        assert (400, "unsupported_content_type") == (plain.status, plain.error["code"])


def embedded() -> bytes:
    """Put parameters into a marked image, which changes its bytes."""
    return embed(mark(RED), EmbeddedParameters("a cat"))


def test_the_most_severe() -> None:
    """Altered outweighs what could not be done; no evidence outweighs nothing but success."""
    order = [*map(ExitCode, (11, 13, 7, 4, 2, 8, 5, 6, 14, 0))]
    assert order[:-1] == [most_severe(pair) for pair in pairwise(order)]
