"""What sending promises: once, to the right server, with the right key, and an honest word on what broke."""

from __future__ import annotations

import errno
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from itertools import islice
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

import streams
from beside import PATIENCE
from faults.faultserver import nobody_listens
from imgcli.api import transport
from imgcli.api.auth import Credentials, credentials
from imgcli.api.client import Answer, Clock, send
from imgcli.api.errors import connection as connection_
from imgcli.api.errors.connection import FailureStage, ServerName, from_exception
from imgcli.api.retry import Retry
from imgcli.api.stream.reader import read_events
from imgcli.api.transport import Timeouts
from imgcli.core.config import HttpHeader, ServerSettings
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import FinalImage, Waiting
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api
from imgcli.core.request import ImageRequest
from tables import each
from wire import End, Framing, Reply, ScriptedServer, error_reply, wire_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANARY = "sk-canary-0123456789abcdef"
JOB = "20261122-120000-abcd"
REQUEST = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES, size="1024x1024", partials=3)
IMAGES = ImageRequest("a cat", "gpt-image-2", Api.IMAGES, format=ImageFormat.WEBP, partials=1)
PLAIN = replace(IMAGES, stream=False, inline=True)
RUN = Reply(streams.whole_run())
QUICK = Timeouts(timeout=0.3)


_LONG = ("retry-after", "1e9")


@dataclass
class FakeTime:
    """A clock that only sleeping moves."""

    seconds: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.slept.append(seconds)
        self.seconds += seconds

    def clock(self) -> Clock:
        """Give the clock to whom it is passed."""
        now = 1_795_000_000.0
        return Clock(lambda: self.seconds, lambda: now + self.seconds, self.sleep, chance=lambda: 0.0)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the SDK would read from the machine out of the tests."""
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
        "OPENAI_CUSTOM_HEADERS",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def remote(server: ScriptedServer) -> Credentials:
    """Treat the loopback server as a remote one, which gets the key and is reached through proxies."""
    return Credentials(CANARY, server.base_url.replace("127.0.0.1", "remote.example"))


def ask(
    target: ScriptedServer | Credentials,
    request: ImageRequest = REQUEST,
    limits: Timeouts = QUICK,
    times: FakeTime | None = None,
) -> tuple[list[Waiting], Answer]:
    """Send until there is an answer."""
    whose = credentials({}, target.base_url) if isinstance(target, ScriptedServer) else target
    sending = send(request, JOB, whose, limits, (times or FakeTime()).clock())
    waits: list[Waiting] = []
    while True:
        try:
            waits.append(next(sending))
        except StopIteration as end:
            return waits, end.value


def drain(target: ScriptedServer | Credentials, request: ImageRequest, limits: Timeouts) -> None:
    """Send, and read the answer to its end."""
    _, answer = ask(target, request, limits)
    with closing(answer):
        for _ in answer.chunks:
            pass


def refusal(
    target: ScriptedServer | Credentials, request: ImageRequest = REQUEST, limits: Timeouts = QUICK
) -> Problem:
    """Send and be refused; whatever the error carries along is searched for the key."""
    with pytest.raises(ImgcliError) as caught:
        drain(target, request, limits)
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    assert CANARY not in "".join(traceback.format_exception(error)) + repr(error.problem)
    return error.problem


@contextmanager
def serving(*replies: Reply) -> Iterator[ScriptedServer]:
    """Play replies."""
    with ScriptedServer(replies) as server:
        yield server


class TestAnOrdinaryRequest:
    """What goes out, and what comes back."""

    @pytest.mark.parametrize(
        ("request_", "path"),
        [(REQUEST, "/v1/responses"), (IMAGES, "/v1/images/generations"), (PLAIN, "/v1/images/generations")],
    )
    def test_sends_the_body_as_it_is(self, request_: ImageRequest, path: str) -> None:
        """The server gets exactly the request that --dry-run shows."""
        with serving(RUN) as server:
            _, answer = ask(server, request_)
            answer.close()
        assert [("POST", path)] == [(got.method, got.path) for got in server.requests]
        assert json.loads(json.dumps(wire_body(request_))) == server.requests[0].json

    def test_sends_the_headers_that_matter(self) -> None:
        """No compression that could hide a bomb, and an id by which OpenAI finds a lost request."""
        with serving(RUN) as server:
            ask(server)[1].close()
        headers = server.requests[0].headers
        assert "identity" == headers["accept-encoding"]
        assert JOB == headers["x-client-request-id"]

    def test_brings_the_bytes_back_untouched(self) -> None:
        """What is recorded is what the server sent."""
        with serving(RUN) as server:
            waits, answer = ask(server)
            body = b"".join(answer.chunks)
            answer.close()
        assert (streams.whole_run(), []) == (body, waits)
        assert "text/event-stream; charset=utf-8" == answer.content_type

    def test_can_be_hung_up_early_and_twice(self) -> None:
        """Closing in the middle ends the connection."""
        with serving(Reply(streams.whole_run(), end=End.STALL)) as server:
            _, answer = ask(server)
            next(answer.chunks)
            answer.close()
            answer.close()
            assert server.hung_up.wait(PATIENCE)

    def test_gives_each_part_as_it_comes(self) -> None:
        """A preview is there before the image."""
        body = streams.whole_run()
        with serving(Reply(body, pauses=((200, 0.2),))) as server:
            _, answer = ask(server, limits=Timeouts(5))
            assert len(next(answer.chunks)) <= 200
            answer.close()

    def test_has_its_image_read(self) -> None:
        """Sending and reading fit together."""
        with serving(RUN) as server:
            _, answer = ask(server)
            events = list(read_events(answer.chunks, JOB))
            answer.close()
        assert [streams.RED] == [event.image.data for event in events if isinstance(event, FinalImage)]


class TestOnce:
    """A request that may cost money is sent once."""

    @each(
        ("reply", "exit_code", "charged"),
        [
            (error_reply(400), ExitCode.REFUSED, Charged.NO),
            (error_reply(401), ExitCode.AUTH, Charged.NO),
            (error_reply(403), ExitCode.AUTH, Charged.NO),
            (error_reply(404), ExitCode.REFUSED, Charged.NO),
            (error_reply(408), ExitCode.UNKNOWN, Charged.MAYBE),
            (error_reply(409), ExitCode.UNKNOWN, Charged.MAYBE),
            (error_reply(413), ExitCode.REFUSED, Charged.NO),
            (error_reply(422), ExitCode.REFUSED, Charged.NO),
            (error_reply(429, code="insufficient_quota"), ExitCode.BILLING, Charged.NO),
            (error_reply(503, code="slow_down", headers=(_LONG,)), ExitCode.BUSY, Charged.NO),
            (error_reply(429, code="slow_down", headers=(("retry-after", "61"),)), ExitCode.BUSY, Charged.NO),
            (error_reply(429, code="something_new"), ExitCode.BUSY, Charged.NO),
            (error_reply(500), ExitCode.UNKNOWN, Charged.MAYBE),
            (error_reply(502), ExitCode.UNKNOWN, Charged.MAYBE),
            (error_reply(503), ExitCode.UNKNOWN, Charged.MAYBE),
            (error_reply(504), ExitCode.UNKNOWN, Charged.MAYBE),
            (error_reply(524), ExitCode.UNKNOWN, Charged.MAYBE),
            (error_reply(500, headers=(("x-should-retry", "true"),)), ExitCode.UNKNOWN, Charged.MAYBE),
            (error_reply(400, headers=(("x-should-retry", "true"),)), ExitCode.REFUSED, Charged.NO),
            (Reply(status=500, framing=Framing.LENGTH), ExitCode.UNKNOWN, Charged.MAYBE),
            (Reply(b"<html>", status=502, framing=Framing.CLOSE), ExitCode.UNKNOWN, Charged.MAYBE),
            (Reply(b'{"error', status=400, end=End.FIN), ExitCode.REFUSED, Charged.NO),
            (Reply(b'{"error', status=400, end=End.STALL), ExitCode.REFUSED, Charged.NO),
            (Reply(end=End.CLOSE), ExitCode.UNKNOWN, Charged.MAYBE),
            (Reply(end=End.SILENT), ExitCode.UNKNOWN, Charged.MAYBE),
            (Reply(b"data: 1\n", end=End.FIN), ExitCode.UNKNOWN, Charged.MAYBE),
            (Reply(b"data: 1\n", end=End.RST), ExitCode.UNKNOWN, Charged.MAYBE),
            (Reply(b"data: 1\n", end=End.STALL), ExitCode.UNKNOWN, Charged.MAYBE),
            (Reply(b"data: 1\n", headers=(("content-encoding", "gzip"),)), ExitCode.UNKNOWN, Charged.MAYBE),
        ],
    )  # fmt: skip
    def test_whatever_comes_back(self, reply: Reply, exit_code: ExitCode, charged: Charged) -> None:
        """No status, silence or cut sends a second POST, and each is told as what it is."""
        with serving(reply) as server:
            problem = refusal(server)
        assert (exit_code, charged, 1) == (problem.exit_code, problem.charged, server.posts)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_and_not_elsewhere(self, status: int) -> None:
        """A redirect is not followed: the other server sees nothing of the prompt."""
        with serving(RUN) as other:
            target = other.base_url + "/responses"
            with serving(
                Reply(status=status, headers=(("location", target),), framing=Framing.LENGTH)
            ) as server:
                problem = refusal(server)
        assert (1, []) == (server.posts, other.requests)
        assert f"127.0.0.1:{other.port}" in problem.what

    def test_and_a_huge_refusal_is_not_read_to_its_end(self) -> None:
        """A 400 with an endless body is a 400, at once."""
        with serving(Reply(b"x" * 30_000_000, status=400)) as server:
            start = time.monotonic()
            assert ExitCode.REFUSED is refusal(server).exit_code
        assert time.monotonic() - start < 3


class TestAgain:
    """A request goes out again only where nothing can have begun."""

    @pytest.mark.parametrize(
        "reply",
        [
            error_reply(429, code="rate_limit_exceeded"),
            error_reply(429, code="slow_down"),
            error_reply(429, kind="requests"),
            error_reply(503, code="server_is_overloaded"),
            Reply(status=429, framing=Framing.LENGTH),
        ],
    )
    def test_when_the_server_says_that_it_is_busy(self, reply: Reply) -> None:
        """A busy server is asked again, each wait is told, and the image comes."""
        with serving(reply, reply, RUN) as server:
            times = FakeTime()
            waits, answer = ask(server, times=times)
            answer.close()
        assert ([1.0, 2.0], 3) == (times.slept, server.posts)
        assert [(JOB, 1.0), (JOB, 2.0)] == [(wait.job, wait.seconds) for wait in waits]
        assert "busy" in waits[0].reason

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            (("retry-after", "7"), 7.0),
            (("retry-after-ms", "1500"), 1.5),
            (("retry-after", formatdate(1_795_001_030, usegmt=True)), 30.0),
            (("retry-after", "soon"), 1.0),
            (("retry-after", "-5"), 1.0),
        ],
    )
    def test_when_it_asked_for(self, header: tuple[str, str], seconds: float) -> None:
        """Retry-After is kept to in every form, and nonsense is not."""
        with serving(error_reply(429, code="slow_down", headers=(header,)), RUN) as server:
            times = FakeTime()
            ask(server, times=times)[1].close()
        assert [seconds] == times.slept

    def test_but_not_for_ever(self) -> None:
        """A server that stays busy ends the run as busy within the budget, with nothing charged."""
        with serving(error_reply(429, code="slow_down")) as server:
            times = FakeTime()
            with pytest.raises(ImgcliError) as caught:
                ask(server, times=times)
        assert (ExitCode.BUSY, Charged.NO) == (caught.value.problem.exit_code, caught.value.problem.charged)
        assert sum(times.slept) <= Timeouts().budget
        assert len(times.slept) + 1 == server.posts

    def test_and_says_when_if_it_does_not(self) -> None:
        """A wait that is too long to watch is told."""
        with serving(error_reply(429, code="slow_down", headers=(("retry-after", "300"),))) as server:
            assert "Try again in 300 s." == refusal(server).advice

    def test_when_nobody_listens(self) -> None:
        """A refused connection is tried three times, within seconds, and costs nothing."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        times = FakeTime()
        with pytest.raises(ImgcliError) as caught:
            ask(credentials({}, f"http://127.0.0.1:{port}/v1"), times=times)
        problem = caught.value.problem
        assert (ExitCode.UNREACHABLE, Charged.NO) == (problem.exit_code, problem.charged)
        assert f"Cannot connect to 127.0.0.1:{port}: connection refused." == problem.what
        assert [0.5, 1.0] == times.slept

    def test_when_the_server_comes_up_meanwhile(self) -> None:
        """A server that is being restarted is found by the second attempt."""
        with ExitStack() as stack:
            server = ScriptedServer([RUN])
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]
            create = socket.create_server
            times = FakeTime()

            def start(seconds: float) -> None:
                times.slept.append(seconds)
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(
                        socket, "create_server", lambda _, **more: create(("127.0.0.1", port), **more)
                    )
                    stack.enter_context(server)

            clock = replace(times.clock(), sleep=start)
            sending = send(REQUEST, JOB, credentials({}, f"http://127.0.0.1:{port}/v1"), QUICK, clock)
            assert 0.5 == next(sending).seconds
            with pytest.raises(StopIteration) as end:
                next(sending)
            end.value.value.close()
        assert 1 == server.posts

    def test_not_when_the_waiting_is_broken_off(self) -> None:
        """Ctrl-C during a countdown sends nothing more."""
        with serving(error_reply(429, code="slow_down"), RUN) as server:
            sending = send(REQUEST, JOB, credentials({}, server.base_url), QUICK, FakeTime().clock())
            next(sending)
            sending.close()
        assert 1 == server.posts


class TestKeys:
    """The key goes to the server that it is for, and nowhere else."""

    def test_are_not_given_to_this_machine(self) -> None:
        """A local server gets a dummy, whatever is in the environment."""
        with serving(RUN) as server:
            ask(credentials({"OPENAI_API_KEY": CANARY}, server.base_url))[1].close()
        assert "Bearer local" == server.requests[0].headers["authorization"]

    def test_of_a_local_server_can_be_given_as_a_header(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A local gateway that wants its own key can have it; a 401 says how."""
        with serving(error_reply(401), RUN) as server:
            assert "OPENAI_CUSTOM_HEADERS" in refusal(server).advice
            monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer gateway\nX-More: 1")
            ask(server)[1].close()
        headers = server.requests[1].headers
        assert ("Bearer gateway", "1") == (headers["authorization"], headers["x-more"])

    def test_and_organization_and_project_reach_the_server(self) -> None:
        """Organization and project are sent as the SDK sends them."""
        with serving(RUN) as server:
            whose = credentials(
                {"OPENAI_ORG_ID": " org-1 ", "OPENAI_PROJECT_ID": "proj_1\n"}, server.base_url
            )
            ask(whose)[1].close()
        headers = server.requests[0].headers
        assert ("org-1", "proj_1") == (headers["openai-organization"], headers["openai-project"])

    @pytest.mark.parametrize("text", [f"\n {CANARY}\r\n", f"{CANARY} "])
    def test_are_stripped(self, text: str) -> None:
        """A line break behind a key, as files have it, does no harm."""
        assert CANARY == credentials({"OPENAI_API_KEY": text}).key

    @pytest.mark.parametrize(
        ("key", "position"),
        [
            ("sk-te st", 6),
            ("sk-te\x00st", 6),
            ("Bearer sk-test", 7),
            ("“sk-test”", 1),
            ("sk-\u00e4", 4),
            ("sk-\r\nx", 4),
        ],
    )
    def test_that_cannot_be_sent_are_refused_unseen(self, key: str, position: int) -> None:
        """A broken key is found before anything is sent, and told by its fault's place, not its value."""
        with pytest.raises(ImgcliError) as caught:
            credentials({"OPENAI_API_KEY": key})
        problem = caught.value.problem
        assert ExitCode.AUTH is problem.exit_code
        assert f"OPENAI_API_KEY contains an invalid character at position {position}." == problem.what
        assert "sk-" not in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize("environment", [{}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": " \n"}])
    def test_that_are_missing_are_asked_for(self, environment: dict[str, str]) -> None:
        """Without a key the message names the variable and the demo."""
        with pytest.raises(ImgcliError) as caught:
            credentials(environment)
        problem = caught.value.problem
        assert (ExitCode.AUTH, Charged.NO) == (problem.exit_code, problem.charged)
        assert "OPENAI_API_KEY" in problem.what
        assert "--demo" in problem.advice

    def test_do_not_show_in_a_repr(self) -> None:
        """An account in a log or a traceback shows no key and no login."""
        whose = credentials({"OPENAI_API_KEY": CANARY}, f"https://me:{CANARY}@example.org:8443/v1")
        assert CANARY not in repr(whose)
        assert "example.org:8443" == whose.host

    def test_echoed_by_the_server_are_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that repeats the key does not get it printed, in no part of the message."""
        key = "azure0123456789abcdef"
        with serving(error_reply(401, f"Bad key {key}", code=key)) as server:
            whose = replace(proxied(server, monkeypatch), key=key)
            problem = refusal(whose)
        assert f"Bearer {key}" == server.requests[0].headers["authorization"]
        assert key not in repr(problem)

    def test_are_not_sent_where_a_header_is_the_login(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A profile whose header comes from the environment logs in by that; OPENAI_API_KEY stays here."""
        told = ServerSettings(
            "gw", "https://remote.example/v1", None, (HttpHeader("x-login", "", "GW_LOGIN"),)
        )
        environment = {"OPENAI_API_KEY": CANARY, "GW_LOGIN": "Token gateway-canary"}
        whose = credentials(environment, told.base_url, told)
        assert ("", (("x-login", "Token gateway-canary"),)) == (whose.key, whose.headers)
        assert {CANARY, "Token gateway-canary", "gateway-canary"} == set(whose.secrets)
        with serving(RUN) as server:
            peer = replace(proxied(server, monkeypatch), key="", headers=whose.headers)
            ask(peer)[1].close()
        headers = server.requests[0].headers
        assert ("Token gateway-canary", None) == (headers["x-login"], headers.get("authorization"))

    def test_in_illegal_headers_do_not_leak(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A header that cannot be sent is told without its value."""
        with serving(RUN) as server:
            monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Key: {CANARY}\x0b{CANARY}")
            problem = refusal(server)
        assert (ExitCode.USAGE, Charged.NO) == (problem.exit_code, problem.charged)
        assert 0 == server.posts


def proxied(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Credentials:
    """FailureStage the server as a proxy for a remote, unencrypted one."""
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{CANARY}@127.0.0.1:{server.port}")
    environment = {"OPENAI_API_KEY": CANARY, "IMGCLI_INSECURE_HTTP": "1"}
    return credentials(environment, "http://remote.example/v1")


class TestProxies:
    """Proxies of the environment are for remote servers."""

    def test_never_see_what_stays_on_this_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A local server is reached directly, whatever proxies are set."""
        with serving(RUN) as proxy, serving(RUN) as server:
            for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            ask(server)[1].close()
        assert ([], 1) == (proxy.requests, server.posts)

    def test_lead_to_remote_servers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A remote server is reached through the proxy, with the key."""
        with serving(RUN) as proxy:
            ask(proxied(proxy, monkeypatch))[1].close()
        assert "http://remote.example/v1/responses" == proxy.requests[0].path
        assert f"Bearer {CANARY}" == proxy.requests[0].headers["authorization"]

    @pytest.mark.parametrize("remote", ["http://remote.example/v1", "https://remote.example/v1"])
    def test_that_are_dead_are_named(self, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy that does not answer is named with its port and its variables, and not the server."""
        with nobody_listens() as port:
            monkeypatch.setenv("ALL_PROXY", f"http://me:{CANARY}@127.0.0.1:{port}")
            problem = refusal(credentials({"OPENAI_API_KEY": CANARY, "IMGCLI_INSECURE_HTTP": "1"}, remote))
        assert f"Cannot connect to the proxy 127.0.0.1:{port}: connection refused." == problem.what
        assert (ExitCode.UNREACHABLE, Charged.NO) == (problem.exit_code, problem.charged)
        assert "ALL_PROXY" in problem.advice

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            (503, "could not reach remote.example: 503"),
            (403, "refused the connection to remote.example: 403"),
        ],
    )
    def test_that_give_no_way_to_the_server_are_named(
        self, status: int, words: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy that forbids is told apart from one that could not reach the server."""
        with serving(Reply(status=status, framing=Framing.LENGTH)) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:{CANARY}@127.0.0.1:{proxy.port}")
            problem = refusal(credentials({"OPENAI_API_KEY": CANARY}, "https://remote.example/v1"))
        assert f"The proxy 127.0.0.1:{proxy.port} {words} Scripted." == problem.what
        assert (ExitCode.UNREACHABLE, Charged.NO) == (problem.exit_code, problem.charged)

    def test_that_want_a_login_are_told_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy's refusal is no refusal of the server's."""
        with serving(Reply(status=407, framing=Framing.LENGTH)) as proxy:
            assert ExitCode.UNREACHABLE is refusal(proxied(proxy, monkeypatch)).exit_code

    @pytest.mark.parametrize(
        ("url", "advice"),
        [
            ("socks5://me:secret@127.0.0.1:1", "pip install socksio"),
            ("ftp://me:secret@127.0.0.1:1", "HTTPS_PROXY"),
            ("http://me:secret@[::1", "HTTPS_PROXY"),
        ],
    )
    def test_that_cannot_work_are_told_before_sending(
        self, url: str, advice: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy of the wrong kind is told, without its password."""
        monkeypatch.setenv("ALL_PROXY", url)
        problem = refusal(credentials({"OPENAI_API_KEY": CANARY}))
        assert (ExitCode.UNREACHABLE, Charged.NO) == (problem.exit_code, problem.charged)
        assert advice in problem.advice
        assert "secret" not in repr(problem)

    def test_certificates_that_cannot_be_loaded_are_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A wrong SSL_CERT_FILE is named."""
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
        assert "SSL_CERT_FILE" in refusal(credentials({"OPENAI_API_KEY": CANARY})).advice


class TestAddresses:
    """Where a request may go."""

    @pytest.mark.parametrize("blank", ["", " ", "\n"])
    def test_blank_means_openai(self, blank: str) -> None:
        """An empty OPENAI_BASE_URL is no address."""
        whose = credentials({"OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": blank}, blank)
        assert ("https://api.openai.com/v1", False) == (whose.base_url, whose.is_local)

    def test_the_option_goes_before_the_environment(self) -> None:
        """--base-url wins over OPENAI_BASE_URL."""
        environment = {"OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": "https://b.example/v1"}
        assert "https://a.example/v1" == credentials(environment, "https://a.example/v1").base_url
        assert "https://b.example/v1" == credentials(environment).base_url

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:1/v1",
            "http://127.9.9.9/v1",
            "http://localhost:8080/v1",
            "http://[::1]:1/v1",
            "https://LOCALHOST/",
        ],
    )
    def test_of_this_machine_need_no_key(self, url: str) -> None:
        """Local servers work without a key."""
        whose = credentials({}, url)
        assert ("local", True) == (whose.key, whose.is_local)

    @pytest.mark.parametrize(
        "url",
        [
            "http://example.org/v1",
            "http://localhost.example.org/v1",
            "http://127.0.0.1.example.org",
            "http://128.0.0.1/",
            "http://0.0.0.1/",
        ],
    )
    def test_that_are_unencrypted_are_refused(self, url: str) -> None:
        """Key and prompt do not cross a network in the open, unless that is asked for."""
        environment = {"OPENAI_API_KEY": CANARY}
        with pytest.raises(ImgcliError) as caught:
            credentials(environment, url)
        assert ExitCode.USAGE is caught.value.problem.exit_code
        assert "IMGCLI_INSECURE_HTTP=1" in caught.value.problem.advice
        assert CANARY == credentials({**environment, "IMGCLI_INSECURE_HTTP": "1"}, url).key

    @pytest.mark.parametrize(
        "url",
        [
            "api.openai.com/v1",
            "localhost:8080/v1",
            "ftp://example.org",
            "file:///x",
            "https://",
            "https://a b/",
            "https://[::1",
            "https://a:99999/",
            "https://a\x1b.example/",
            "https://a\nb/",
        ],
    )
    def test_that_are_none_are_refused(self, url: str) -> None:
        """What is no address is told with an example of one, and not repeated."""
        with pytest.raises(ImgcliError) as caught:
            credentials({"OPENAI_API_KEY": CANARY}, url)
        problem = caught.value.problem
        assert ExitCode.USAGE is problem.exit_code
        assert "https://api.openai.com/v1" in problem.advice
        assert problem.what.isprintable()


@pytest.mark.parametrize("url", ["https://a%zz.example/v1", "https://xn--a.example/v1", "https://-\u2028/"])
def test_an_address_that_only_the_library_refuses_is_told(url: str) -> None:
    """An address that looks right and is not ends as a wrong option or an unknown name, never as a crash."""
    problem = refusal(Credentials(CANARY, url))
    assert problem.exit_code in {ExitCode.USAGE, ExitCode.UNREACHABLE}
    assert problem.charged is Charged.NO


def test_a_name_that_nobody_knows_is_told() -> None:
    """Without DNS the message says so, and that nothing was sent."""
    problem = refusal(Credentials(CANARY, "https://nobody.invalid/v1"))
    assert (ExitCode.UNREACHABLE, Charged.NO) == (problem.exit_code, problem.charged)
    assert "Cannot connect to nobody.invalid: the host name cannot be resolved (DNS)." == problem.what


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the TLS library's own socket
def test_tls_with_a_server_that_has_none_is_told() -> None:
    """https:// to a plain server fails before anything of the prompt is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=speak_plainly, args=(listener,), daemon=True).start()
        problem = refusal(credentials({}, f"https://127.0.0.1:{listener.getsockname()[1]}/v1"))
    assert (ExitCode.UNREACHABLE, Charged.NO) == (problem.exit_code, problem.charged)
    assert "TLS failed" in problem.what


def speak_plainly(listener: socket.socket) -> None:
    """Answer in plain HTTP whatever comes, until the listener is closed."""
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_silence_names_its_length_and_the_option() -> None:
    """A server that does not answer is given up after --timeout, and the message says what may be owed."""
    with serving(Reply(end=End.SILENT)) as server:
        problem = refusal(server, limits=Timeouts(timeout=0.2))
    assert f"127.0.0.1:{server.port} was silent for 0.2 s." == problem.what
    assert "--timeout" in problem.advice


def test_a_stream_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends for ever does not fill the disk."""
    monkeypatch.setattr("imgcli.api.client.STREAM_LIMIT", 1_000_000)
    with serving(Reply(b": x\n" * 500_000)) as server:
        problem = refusal(server)
    assert (ExitCode.UNKNOWN, "The server sent more than 1 MB.") == (problem.exit_code, problem.what)


def test_importing_the_client_does_not_import_openai() -> None:
    """Something can be on the screen before the SDK's half second."""
    code = "import sys, imgcli.api.client; print('openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ["False"] == done.stdout.split()


@pytest.mark.parametrize(
    ("packages", "most"),
    [
        ("imgcli.api.sdk._PACKAGES", 60),
        pytest.param("(*imgcli.api.sdk._PACKAGES, 'openai.elsewhere')", 10_000, marks=pytest.mark.slow),
        pytest.param("()", 10_000, marks=pytest.mark.slow),
    ],
    ids=["light", "a package that is not there", "a layout that is not known"],
)
def test_the_sdk_is_imported_lightly_or_as_a_whole(packages: str, most: int) -> None:
    """The client comes without the SDK's types where that works; `import openai` is whole afterwards."""
    code = (
        "import sys, imgcli.api.sdk\n"
        f"client = imgcli.api.sdk.import_client({packages})\n"
        "loaded = len([name for name in sys.modules if name.startswith('openai')])\n"
        "import openai, openai.types\n"
        "asked = client(api_key='k', base_url='http://127.0.0.1:9/v1', max_retries=0)\n"
        "try:\n"
        "    asked.models.list()\n"
        "except openai.APIConnectionError:\n"
        "    print(client is openai.OpenAI, openai.types.Image.__name__, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    same, kind, loaded = done.stdout.split()
    assert ("True", "Image", True) == (same, kind, int(loaded) <= most)


def every_error() -> list[type[Exception]]:
    """List the exceptions of httpx2 that sending and receiving raise."""
    found = [getattr(httpx2, name) for name in dir(httpx2)]
    used = (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL)
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, used)]


@each("kind", every_error())
def test_every_error_of_the_http_library_has_its_meaning(kind: type[Exception]) -> None:
    """No exception of httpx2 comes through untranslated, and only those before sending say so."""
    expected = {
        "ConnectError": FailureStage.UNSENT,
        "ConnectTimeout": FailureStage.UNSENT,
        "PoolTimeout": FailureStage.UNSENT,
        "ProxyError": FailureStage.UNSENT,
        "UnsupportedProtocol": FailureStage.UNFIT,
        "InvalidURL": FailureStage.UNFIT,
        "LocalProtocolError": FailureStage.UNFIT,
    }.get(kind.__name__, FailureStage.SENT)
    assert expected is connection_.failure_stage(kind.__new__(kind))


CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")
CERTIFICATE.verify_message = "self-signed certificate"


@pytest.mark.parametrize(
    ("cause", "words", "retry"),
    [
        (CERTIFICATE, "has no valid certificate: self-signed certificate", Retry.NEVER),
        (socket.gaierror(-2, "Name or service not known"), "(DNS)", Retry.CONNECT),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "network is unreachable", Retry.CONNECT),
        (TimeoutError(), "it timed out", Retry.CONNECT),
        (RuntimeError(CANARY), "it failed", Retry.CONNECT),
    ],
)
def test_why_connecting_failed_is_said(cause: Exception, words: str, retry: Retry) -> None:
    """The reason beneath the library's exceptions is the one that helps."""
    error = httpx2.ConnectError(CANARY)
    error.__cause__ = cause
    failure = from_exception(error, ServerName("example.org", 120))
    assert failure is not None
    assert words in failure.problem.what
    assert CANARY not in repr(failure)
    assert (ExitCode.UNREACHABLE, retry) == (failure.problem.exit_code, failure.retry)


def test_a_bug_of_ours_is_not_hidden() -> None:
    """What is no trouble of a connection is not told as one."""
    assert from_exception(KeyError("x"), ServerName("example.org", 120)) is None


def test_a_dead_peer_is_noticed_by_the_kernel() -> None:
    """Keep-alive probes are on, so that a connection that was forgotten by a NAT ends."""
    seen: list[int] = []
    original = socket.socket.setsockopt

    class Watched(socket.socket):
        def setsockopt(self, *args: Any) -> None:
            if args[:2] == (socket.SOL_SOCKET, socket.SO_KEEPALIVE):
                seen.append(1)
            original(self, *args)

    with serving(RUN) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", Watched)
        ask(server)[1].close()
    assert [1] == seen


def run_in_threads(jobs: int, work: Callable[[], None]) -> None:
    """Do the same work several times at once."""
    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_several_requests_at_once_do_not_mix() -> None:
    """Threads that send at the same time get an answer each."""
    bodies: list[bytes] = []

    def work() -> None:
        _, answer = ask(server, limits=Timeouts(5))
        bodies.append(b"".join(answer.chunks))
        answer.close()

    with serving(RUN) as server:
        run_in_threads(4, work)
    assert [streams.whole_run()] * 4 == bodies


def read_with(reading: threading.Lock, server: ScriptedServer) -> Answer:
    """Send, and return the answer, which is read in turn with others that have the lock."""
    clock = replace(FakeTime().clock(), reading=reading)
    sending = send(REQUEST, JOB, credentials({}, server.base_url), Timeouts(5), clock)
    with pytest.raises(StopIteration) as end:
        next(sending)
    answer: Answer = end.value.value
    return answer


def test_an_answer_is_read_although_another_one_never_ends_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that stands still does not hold up the others."""
    monkeypatch.setattr(transport, "_LONGEST_WAIT", 0.01)
    reading = threading.Lock()
    with serving(RUN) as server, reading, closing(read_with(reading, server)) as answer:
        assert streams.whole_run() == b"".join(answer.chunks)


@each("end", (End.WELL, End.RST, End.STALL))
def test_an_answer_that_ends_somehow_ends_its_turn(end: End) -> None:
    """The next answer is read at once, whether this one ended well, broke, or was given up half-way."""
    reading = threading.Lock()
    with serving(replace(RUN, end=end)) as server:
        answer = read_with(reading, server)
        with suppress(ImgcliError), closing(answer):
            for _ in islice(answer.chunks, 1 if end is End.STALL else None):
                pass
        assert reading.acquire(blocking=False)


def test_an_answer_in_which_the_server_pauses_lets_others_be_read() -> None:
    """While the server works on the next image, the answers of other requests are read."""
    reading, came = threading.Lock(), threading.Event()

    def work() -> None:
        with closing(read_with(reading, server)) as answer:
            for _ in answer.chunks:
                came.set()

    with serving(replace(RUN, holds=(len(RUN.body) // 2,))) as server:
        thread = threading.Thread(target=work)
        thread.start()
        assert came.wait(PATIENCE)
        assert reading.acquire(timeout=PATIENCE)
        reading.release()
        server.go_on()
        thread.join()


def test_what_came_before_a_connection_broke_is_kept() -> None:
    """The beginning of an image in several pieces is passed on, though no whole record of it came."""
    body = streams.whole_run()
    cut = len(body) // 2
    with serving(Reply(body[:cut], chunk=100, end=End.RST)) as server:
        got: list[bytes] = []
        with closing(read_with(threading.Lock(), server)) as answer, suppress(ImgcliError):
            got += answer.chunks
    assert body[:cut] == b"".join(got)
