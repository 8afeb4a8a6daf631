"""A request with images on its way out: in pieces, once, and whole again when it must be."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
import traceback
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams
from beside import PATIENCE
from images import JPEG, MASK, form_fields, reference
from imgcli.api.auth import Credentials, credentials
from imgcli.api.client import PREVIOUS_RESPONSE_LOST, Answer, Clock, send, send_with_fallback
from imgcli.api.stream.reader import read_events
from imgcli.api.transport import Timeouts
from imgcli.api.upload import request_body
from imgcli.core.errors import Cause, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import FinalImage, Notice, Waiting
from imgcli.core.params import Api
from imgcli.core.request import ImageRequest, InputImage
from imgcli.core.validate import ValidRequest
from wire import End, Framing, Reply, ScriptedServer, error_reply, wire_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

CANARY = "sk-canary-0123456789abcdef"
JOB = "20261122-120000-abcd"
IMAGE, OTHER, STENCIL = reference(streams.BLUE), reference(JPEG, "b.jpg"), reference(MASK, "m.png")
RESPONSES = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES, references=(IMAGE, OTHER), mask=STENCIL)
FORM = replace(RESPONSES, model="gpt-image-2", api=Api.IMAGES)
JSON = replace(FORM, references=(IMAGE, replace(IMAGE, url="https://a.example/a.png", data=None)))
ALL = [RESPONSES, FORM, JSON]
RUN = Reply(streams.whole_run())
QUICK = Timeouts(timeout=0.5)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
HUGE = reference(bytes(20_000_000))


def instant() -> Clock:
    """A clock whose sleep takes no time."""
    return Clock(sleep=lambda _: None, chance=lambda: 0.0)


def finished(sending: Generator[Waiting | Notice, None, Answer]) -> tuple[list[Waiting | Notice], bytes]:
    """Send, and read the answer to its end."""
    told: list[Waiting | Notice] = []
    while True:
        try:
            told.append(next(sending))
        except StopIteration as end:
            answer: Answer = end.value
            with closing(answer):
                return told, b"".join(answer.chunks)


def ask(server: ScriptedServer, request: ImageRequest, limits: Timeouts = QUICK) -> bytes:
    """Send and read the answer."""
    return finished(send(request, JOB, credentials({}, server.base_url), limits, instant()))[1]


def refusal(base_url: str | Credentials, request: ImageRequest, limits: Timeouts = QUICK) -> Problem:
    """Send and be refused; the error carries nothing of others along."""
    whose = base_url if isinstance(base_url, Credentials) else credentials({}, base_url)
    with pytest.raises(ImgcliError) as caught:
        finished(send(request, JOB, whose, limits, instant()))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.problem)
    return caught.value.problem


class TestTheBody:
    """What the pieces add up to."""

    @given(
        st.text(st.characters(codec="utf-8")), st.lists(st.binary(min_size=1, max_size=200_000), max_size=3)
    )
    def test_is_the_json_that_was_meant(self, prompt: str, images: list[bytes]) -> None:
        """Pieced together, the body is the JSON of the request with every image in its place."""
        request = replace(RESPONSES, prompt=prompt, references=tuple(map(reference, images)), mask=None)
        upload, sizes = request_body(request), list[int]()
        body = b"".join(upload.pieces(sizes.append))
        assert (upload.length, True) == (len(body), upload.is_whole)
        assert len(body) == sum(sizes)
        told = json.loads(body)["input"]
        if not images:
            assert prompt == told
            return
        text, *sent = told[0]["content"]
        assert prompt == text["text"]
        assert images == [base64.b64decode(image["image_url"].partition(",")[2]) for image in sent]

    def test_is_not_out_before_it_is_asked_for_again(self) -> None:
        """An attempt that breaks before its first byte is no whole request because an earlier one was."""
        upload = request_body(RESPONSES)
        assert b"".join(upload.pieces(lambda _: None))
        upload.pieces(lambda _: None)
        assert not upload.is_whole

    @given(st.text(st.characters(codec="utf-8")), st.lists(st.binary(min_size=1), min_size=1, max_size=3))
    def test_is_the_form_that_was_meant(self, prompt: str, images: list[bytes]) -> None:
        """Pieced together, the body is a form with the files as they are, whatever is in them."""
        request = replace(FORM, prompt=prompt, references=tuple(map(reference, images)))
        upload = request_body(request)
        body = b"".join(upload.pieces(lambda _: None))
        assert upload.length == len(body)
        fields = form_fields(upload.content_type, body)
        assert prompt.encode() == next(field.data for field in fields if field.name == "prompt")
        assert images == [field.data for field in fields if field.name in {"image", "image[]"}]

    @pytest.mark.parametrize("request_", ALL, ids=["responses", "form", "json"])
    def test_comes_in_small_pieces(self, request_: ImageRequest) -> None:
        """No piece of a large body is large, so that none needs much memory."""
        upload = request_body(replace(request_, references=(HUGE, *request_.references[1:])))
        assert 65_536 >= max(map(len, upload.pieces(lambda _: None)))

    def test_needs_the_bytes(self) -> None:
        """What was read back from a record has no bytes, and is never sent as something else."""
        bare = ImageRequest.from_json(RESPONSES.to_json())
        assert bare
        assert (bare, None) == (RESPONSES, bare.references[0].data)
        with pytest.raises(ValueError, match="without its bytes"):
            request_body(bare)


@pytest.mark.parametrize("request_", ALL, ids=["responses", "form", "json"])
class TestOnTheWay:
    """What holds for a plain request holds for one with images."""

    def test_the_head_is_right(self, request_: ImageRequest) -> None:
        """Length, type, id and no compression, and the key's place is taken."""
        with ScriptedServer([RUN]) as server:
            assert RUN.body == ask(server, request_)
        (got,) = server.requests
        headers = got.headers
        assert str(len(got.body)) == headers["content-length"]
        assert "transfer-encoding" not in headers
        kind = "multipart/form-data; boundary=" if request_ is FORM else "application/json"
        assert headers["content-type"].startswith(kind)
        assert (JOB, "identity", "Bearer local") == (
            headers["x-client-request-id"],
            headers["accept-encoding"],
            headers["authorization"],
        )
        assert f"/v1{wire_path(request_)}" == got.path

    def test_a_busy_server_gets_the_whole_body_again(self, request_: ImageRequest) -> None:
        """The second attempt has the same body, length, type and id as the first."""
        busy = error_reply(429, code="slow_down", headers=(("retry-after-ms", "1"),))
        with ScriptedServer([busy, busy, RUN]) as server:
            ask(server, request_)
        first, *others = server.requests
        assert [(first.body, first.headers)] * 2 == [(other.body, other.headers) for other in others]
        assert len(first.body) > len(streams.BLUE)

    @pytest.mark.parametrize(
        "reply", [error_reply(500), error_reply(400), Reply(end=End.CLOSE), Reply(end=End.SILENT)]
    )
    def test_it_is_sent_once(self, reply: Reply, request_: ImageRequest) -> None:
        """No other answer sends the images a second time; what went out whole may have been paid."""
        with ScriptedServer([reply]) as server:
            problem = refusal(server.base_url, request_)
        assert (1, None) == (server.posts, problem.cause)
        expected = Charged.NO if problem.exit_code is ExitCode.REFUSED else Charged.MAYBE
        assert expected is problem.charged

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects_are_not_followed(self, status: int, request_: ImageRequest) -> None:
        """The images go to one server only."""
        with ScriptedServer([RUN]) as other:
            away = (("location", other.base_url + wire_path(request_)),)
            with ScriptedServer([Reply(status=status, headers=away, framing=Framing.LENGTH)]) as server:
                assert ExitCode.REFUSED is refusal(server.base_url, request_).exit_code
        assert (1, []) == (server.posts, other.requests)

    def test_the_key_goes_to_a_remote_server_and_into_no_message(
        self, request_: ImageRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A server that echoes the key does not get it printed."""
        key = "azure0123456789abcdef"
        with ScriptedServer([error_reply(401, f"Bad key {key}", code=key)]) as server:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
            environment = {"OPENAI_API_KEY": key, "IMGCLI_INSECURE_HTTP": "1"}
            problem = refusal(credentials(environment, "http://remote.example/v1"), request_)
        assert f"Bearer {key}" == server.requests[0].headers["authorization"]
        assert key not in repr(problem)


def test_the_events_of_an_edit_are_read() -> None:
    """`image_edit.*` is read as `image_generation.*` is."""
    body = streams.images_run().replace(b"image_generation.", b"image_edit.")
    with ScriptedServer([Reply(body)]) as server:
        events = list(read_events([ask(server, FORM)], JOB))
    assert [streams.RED] == [event.image.data for event in events if isinstance(event, FinalImage)]


@contextmanager
def reluctant(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that treats each connection as it likes, with a small buffer."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def run() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    serve(connection)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def head_length(start: bytes) -> int:
    """Read the length of a request that has begun to come."""
    head, _, body = start.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return int(lines[b"content-length"]) - len(body)


WITH_HUGE = [replace(request, references=(HUGE,), mask=None) for request in (RESPONSES, FORM)]
HALF_WAY = [
    pytest.param(WITH_HUGE[0], id="responses"),
    pytest.param(WITH_HUGE[1], id="form", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("request_", HALF_WAY)
def test_a_slow_line_is_not_silence(request_: ImageRequest) -> None:
    """An upload that takes longer than every limit on an answer still goes through."""
    stop, has_all = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        left = head_length(connection.recv(65_536))
        while left > 0:
            left -= len(connection.recv(65_536))
            stop.wait(0.004)
        has_all.set()
        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + RUN.body)

    limits, started = Timeouts(timeout=PATIENCE, progress=1, total=1), time.monotonic()
    clock = replace(instant(), monotonic=lambda: started if has_all.is_set() else time.monotonic())
    with reluctant(serve) as base_url:
        sending = send(request_, JOB, credentials({}, base_url), limits, clock)
        assert RUN.body == finished(sending)[1]
    assert time.monotonic() - started > 1


@pytest.mark.parametrize("request_", WITH_HUGE, ids=["responses", "form"])
class TestHalfWay:
    """Twenty megabytes take their time, and may not arrive."""

    @pytest.mark.parametrize("reset", [False, True])
    def test_a_line_that_breaks_costs_nothing(self, reset: bool, request_: ImageRequest) -> None:  # noqa: FBT001
        """Half a request is none: nobody can have begun with it, and the message says so."""

        def serve(connection: socket.socket) -> None:
            connection.recv(65_536)
            if reset:
                linger = socket.SO_LINGER
                connection.setsockopt(socket.SOL_SOCKET, linger, b"\1\0\0\0\0\0\0\0")

        with reluctant(serve) as base_url:
            problem = refusal(base_url, request_)
        assert (ExitCode.UNREACHABLE, Charged.NO, Cause.INCOMPLETE_REQUEST) == (
            problem.exit_code,
            problem.charged,
            problem.cause,
        )
        assert "had not been sent completely" in problem.what

    @pytest.mark.parametrize(
        "limits", [Timeouts(timeout=0.3), Timeouts(timeout=9, progress=0.3)], ids=["timeout", "progress"]
    )
    def test_a_server_that_takes_no_more_is_given_up(self, limits: Timeouts, request_: ImageRequest) -> None:
        """A stalled upload ends, and costs nothing."""
        stop = threading.Event()

        def serve(_: socket.socket) -> None:
            stop.wait(20)

        with reluctant(serve) as base_url:
            problem = refusal(base_url, request_, limits)
            stop.set()
        assert (ExitCode.UNREACHABLE, Charged.NO) == (problem.exit_code, problem.charged)

    def test_a_refusal_that_comes_early_is_heard(self, request_: ImageRequest) -> None:
        """A server that says 413 before it has everything is understood."""

        def serve(connection: socket.socket) -> None:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass

        with reluctant(serve) as base_url:
            problem = refusal(base_url, request_)
        assert (ExitCode.REFUSED, Charged.NO) == (problem.exit_code, problem.charged)
        assert "Send fewer or smaller images" in problem.advice


FORGETTING = [
    error_reply(400, "Previous response with id 'resp_1' not found.", "previous_response_not_found"),
    error_reply(404, "Item with id 'ig_1' not found. Items are not persisted when `store` is set to false."),
    error_reply(400, "Previous response cannot be used for this organization due to Zero Data Retention."),
    Reply(
        json.dumps({"error": {"message": "Unknown.", "param": "previous_response_id"}}).encode(),
        status=400,
        content_type="application/json",
        framing=Framing.LENGTH,
    ),
]
CONTINUED = ImageRequest("now blue", "gpt-4o-mini", Api.RESPONSES, previous_response_id="resp_1")
ANEW = replace(CONTINUED, previous_response_id=None, references=(IMAGE,))


class TestAConversation:
    """Going on with what the server remembers, or may not."""

    def test_that_is_remembered(self) -> None:
        """The id of the last response is sent, and no image."""
        with ScriptedServer([RUN]) as server:
            told, _ = finished(self.sending(server, ANEW))
        assert ([], 1) == (told, server.posts)
        assert "resp_1" == server.requests[0].json["previous_response_id"]
        assert "now blue" == server.requests[0].json["input"]

    @pytest.mark.parametrize("reply", FORGETTING)
    def test_that_is_forgotten(self, reply: Reply) -> None:
        """The image itself is sent in its place, once, and that is said."""
        with ScriptedServer([reply, RUN]) as server:
            told, body = finished(self.sending(server, ANEW))
        assert ([Notice(JOB, PREVIOUS_RESPONSE_LOST, ANEW)], RUN.body, 2) == (told, body, server.posts)
        second = server.requests[1].json
        assert "previous_response_id" not in second
        assert ANEW.references[0].data == base64.b64decode(
            second["input"][0]["content"][1]["image_url"].partition(",")[2]
        )

    @pytest.mark.parametrize("reply", FORGETTING)
    def test_that_is_forgotten_without_a_image(self, reply: Reply) -> None:
        """Where there is no other request, the refusal is told as what it is."""
        with ScriptedServer([reply]) as server, pytest.raises(ImgcliError) as caught:
            finished(self.sending(server, None))
        problem = caught.value.problem
        assert (ExitCode.REFUSED, Charged.NO, Cause.PREVIOUS_RESPONSE_NOT_FOUND, 1) == (
            problem.exit_code,
            problem.charged,
            problem.cause,
            server.posts,
        )

    @pytest.mark.parametrize(
        "reply",
        [
            error_reply(400),
            error_reply(401),
            error_reply(404),
            error_reply(500, "Previous response with id 'resp_1' not found."),
            error_reply(429, code="insufficient_quota"),
            Reply(end=End.CLOSE),
        ],
    )
    def test_whatever_else_goes_wrong(self, reply: Reply) -> None:
        """Nothing is sent a second time for any other reason."""
        with ScriptedServer([reply]) as server, pytest.raises(ImgcliError) as caught:
            finished(self.sending(server, ANEW))
        assert (1, None) == (server.posts, caught.value.problem.cause)

    def test_that_is_forgotten_twice(self) -> None:
        """A server that refuses the other request too is not asked a third time."""
        with ScriptedServer([FORGETTING[0]]) as server, pytest.raises(ImgcliError):
            finished(self.sending(server, ANEW))
        assert 2 == server.posts

    @staticmethod
    def sending(
        server: ScriptedServer, fallback: ImageRequest | None
    ) -> Generator[Waiting | Notice, None, Answer]:
        """Send the one that goes on, and perhaps the other."""
        decision = ValidRequest(CONTINUED, fallback=fallback)
        return send_with_fallback(decision, JOB, credentials({}, server.base_url), QUICK, instant())


def test_records_hold_no_bytes() -> None:
    """Whatever the request, its record is small JSON, and reading it gives the request again."""
    for request in (*ALL, *WITH_HUGE, CONTINUED, ANEW):
        text = json.dumps(request.to_json())
        assert len(text) < 3000
        assert request == ImageRequest.from_json(json.loads(text))


def test_a_plain_record_is_what_it_always_was() -> None:
    """An older imgcli can read the record of a run without images."""
    new = {"references", "mask", "fidelity", "previous_response_id", "action"}
    assert set() == new & ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES).to_json().keys()


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ({"references": [{}]}, {"references": (InputImage(""),)}),
        ({"references": ["a.png"]}, {"references": (InputImage(""),)}),
        ({"references": 7}, {"references": ()}),
        ({"mask": {"name": "a"}}, {"mask": InputImage("a")}),
        ({"fidelity": "max"}, {"fidelity": None}),
        ({"fidelity": ["high"]}, {"fidelity": None}),
        ({"size": [1]}, {"size": None}),
        ({"partials": -1, "compression": 1e400}, {"partials": 0, "compression": None}),
        ({"model": None, "api": {}}, {"model": "", "api": Api.RESPONSES}),
        ({"hologram": True}, {}),
        ({"references": [IMAGE.to_json() | {"size": [1]}]}, {"references": (replace(IMAGE, size=None),)}),
        (
            {"references": [IMAGE.to_json() | {"size": "ab"}]},
            {"references": (replace(IMAGE, size=None),)},
        ),
        ({"references": [IMAGE.to_json() | {"path": 7}]}, {"references": (replace(IMAGE, path=None),)}),
        (
            {"references": [IMAGE.to_json() | {"length": -1}]},
            {"references": (replace(IMAGE, length=None),)},
        ),
    ],
)
def test_an_odd_field_of_a_record(odd: dict[str, object], expected: dict[str, Any]) -> None:
    """One odd field costs that field, not the request, nor the image that it is about."""
    assert replace(RESPONSES, **expected) == ImageRequest.from_json({**RESPONSES.to_json(), **odd})


@given(st.dictionaries(st.sampled_from(list(RESPONSES.to_json())), JSON_VALUES))
def test_any_record_of_a_request(odd: dict[str, object]) -> None:
    """Whatever a record holds, a request is read from it that can be written down again, or none."""
    found = ImageRequest.from_json({**RESPONSES.to_json(), **odd})
    assert (found is None) == (not isinstance(odd.get("prompt", ""), str))
    assert found is None or found == ImageRequest.from_json(json.loads(json.dumps(found.to_json())))
