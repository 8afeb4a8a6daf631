"""What a server's refusal is told as: exit code, money, advice, and no secrets."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.api.errors.server import from_code, from_status, page_title, quoted
from imgcli.api.errors.table import Progress
from imgcli.core.errors import Charged, ExitCode
from imgcli.core.messages import money_sentence
from tables import each

CANARY = "sk-canary-0123456789abcdef"
VERIFY = "Your organization must be verified to use the model `gpt-image-2`. Please go to: https://platform.openai.com"
NO_TOOL = "Hosted tool 'image_generation' is not supported with gpt-3.5-turbo."
NO_PREVIEW = "Streaming must have non-zero partial images."
SAFETY = "Your request was rejected by the safety system."


def body(
    message: str = "No.", code: object = None, kind: object = "invalid_request_error", **more: object
) -> bytes:
    """Write an error as OpenAI does."""
    return json.dumps(
        {"error": {"message": message, "type": kind, "code": code, "param": None, **more}}
    ).encode()


TABLE: list[tuple[int, bytes, ExitCode, Charged, str]] = [
    (400, body(SAFETY, "moderation_blocked"), ExitCode.REFUSED, Charged.NO, "--moderation low"),
    (400, body("x", "content_policy_violation"), ExitCode.REFUSED, Charged.NO, "--moderation low"),
    (400, body("x", "image_content_policy_violation"), ExitCode.REFUSED, Charged.NO, "--moderation low"),
    (400, body(SAFETY), ExitCode.REFUSED, Charged.NO, "--moderation low"),
    (400, body(VERIFY), ExitCode.AUTH, Charged.NO, "settings/organization/general"),
    (403, body(VERIFY), ExitCode.AUTH, Charged.NO, "settings/organization/general"),
    (404, body(VERIFY), ExitCode.AUTH, Charged.NO, "settings/organization/general"),
    (401, body("Incorrect API key provided", "invalid_api_key"), ExitCode.AUTH, Charged.NO, "OPENAI_API_KEY"),
    (401, b"", ExitCode.AUTH, Charged.NO, "--demo"),
    (403, body("Country not supported"), ExitCode.AUTH, Charged.NO, "OPENAI_API_KEY"),
    (400, body("no", "model_not_found"), ExitCode.REFUSED, Charged.NO, "imgcli gen ... --model gpt-6-luna"),
    (404, body("no", "model_not_found"), ExitCode.REFUSED, Charged.NO, "imgcli gen ... --model gpt-6-luna"),
    (400, body(NO_TOOL, param="tools"), ExitCode.REFUSED, Charged.NO, "--model gpt-6-luna"),
    (400, body(NO_PREVIEW, param="tools"), ExitCode.REFUSED, Charged.NO, "--partials 1"),
    (400, body("bad", "invalid_value", param="tools[0].size"), ExitCode.REFUSED, Charged.NO, "--size"),
    (400, body("bad", "invalid_value", param="quality"), ExitCode.REFUSED, Charged.NO, "--quality"),
    (400, body("bad", "invalid_value", param="output_format"), ExitCode.REFUSED, Charged.NO, "--format"),
    (400, body("bad", "invalid_value", param="background"), ExitCode.REFUSED, Charged.NO, "--background"),
    (400, body("bad", "invalid_value", param="model"), ExitCode.REFUSED, Charged.NO, "--model"),
    (
        400,
        body("bad", "invalid_value", param="tools[0].model"),
        ExitCode.REFUSED,
        Charged.NO,
        "--image-model",
    ),
    (400, body("bad", "unknown_parameter", param="new"), ExitCode.REFUSED, Charged.NO, "--dry-run"),
    (402, b"", ExitCode.BILLING, Charged.NO, "billing"),
    (404, b"<html><title>Not Found</title>", ExitCode.REFUSED, Charged.NO, "--base-url"),
    (404, b'{"detail":"Not Found"}', ExitCode.REFUSED, Charged.NO, "--api images"),
    (405, b'{"detail":"Method Not Allowed"}', ExitCode.REFUSED, Charged.NO, "--base-url"),
    (407, b"", ExitCode.UNREACHABLE, Charged.NO, "HTTPS_PROXY"),
    (413, b"", ExitCode.REFUSED, Charged.NO, "prompt"),
    (415, b"", ExitCode.REFUSED, Charged.NO, "--dry-run"),
    (422, b'{"detail":[{"loc":["body"],"msg":"field required"}]}', ExitCode.REFUSED, Charged.NO, "--dry-run"),
    (429, body("slow", "rate_limit_exceeded", "requests"), ExitCode.BUSY, Charged.NO, "again"),
    (429, body("slow", "slow_down"), ExitCode.BUSY, Charged.NO, "again"),
    (429, b"", ExitCode.BUSY, Charged.NO, "again"),
    (429, body("q", "insufficient_quota", "insufficient_quota"), ExitCode.BILLING, Charged.NO, "billing"),
    (429, body("q", None, "insufficient_quota"), ExitCode.BILLING, Charged.NO, "billing"),
    (429, body("q", "credit_balance_exhausted"), ExitCode.BILLING, Charged.NO, "billing"),
    (429, body("q", "organization_spend_limit_exceeded"), ExitCode.BILLING, Charged.NO, "billing"),
    (429, body("q", "project_spend_limit_exceeded"), ExitCode.BILLING, Charged.NO, "billing"),
    (429, body("q", "organization_usage_limit_exceeded"), ExitCode.BILLING, Charged.NO, "billing"),
    (429, body("q", "billing_hard_limit_reached"), ExitCode.BILLING, Charged.NO, "billing"),
    (429, body("You exceeded your current quota"), ExitCode.BILLING, Charged.NO, "billing"),
    (503, body("busy", "server_is_overloaded"), ExitCode.BUSY, Charged.NO, "again"),
    (503, body("busy"), ExitCode.UNKNOWN, Charged.MAYBE, "usage page"),
    (503, body("The server is overloaded"), ExitCode.UNKNOWN, Charged.MAYBE, "usage page"),
    (503, b"<html>", ExitCode.UNKNOWN, Charged.MAYBE, "usage page"),
    (502, body("Upstream: you exceeded your current quota"), ExitCode.UNKNOWN, Charged.MAYBE, "usage page"),
    (500, body(SAFETY), ExitCode.UNKNOWN, Charged.MAYBE, "usage page"),
    (500, body(VERIFY), ExitCode.UNKNOWN, Charged.MAYBE, "usage page"),
    (500, body("q", "insufficient_quota"), ExitCode.BILLING, Charged.MAYBE, "billing"),
    (500, body("x", "moderation_blocked"), ExitCode.REFUSED, Charged.MAYBE, "--moderation low"),
    (500, body("no", "invalid_api_key"), ExitCode.AUTH, Charged.MAYBE, "OPENAI_API_KEY"),
    (500, body("The server is overloaded", "server_is_overloaded"), ExitCode.UNKNOWN, Charged.MAYBE, "usage"),
    (500, body("Oops", "server_error"), ExitCode.UNKNOWN, Charged.MAYBE, "usage page"),
    (418, b"", ExitCode.REFUSED, Charged.NO, "--dry-run"),
    *[
        (code, b"", ExitCode.UNKNOWN, Charged.MAYBE, "usage page")
        for code in (408, 409, 500, 502, 504, 520, 524, 599)
    ],
]


@each(("status", "answer", "exit_code", "charged", "advice"), TABLE)
def test_every_refusal_says_what_it_means(
    status: int, answer: bytes, exit_code: ExitCode, charged: Charged, advice: str
) -> None:
    """Each status and code has its exit code, its word on money, and something to try."""
    problem = from_status(status, answer, {})
    assert (exit_code, charged) == (problem.exit_code, problem.charged)
    assert advice in problem.advice
    assert f"HTTP {status}" in problem.what


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (body("Bad \x1b[31msize."), "Bad \ufffd[31msize."),
        (b'{"error": "just text"}', "just text"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": [{"msg": "a"}, 7, {"msg": "b"}]}', "a; b"),
        (b'{"message": "flat"}', "flat"),
        (b"<html><head><TITLE>502 Bad\nGateway</TITLE>", "502 Bad Gateway"),
        (b"upstream went away", "upstream went away"),
        (b'{"error": {"message": "cut', '{"error": {"message": "cut'),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (
            body("No.", "moderation_blocked", moderation_details={"categories": ["violence", "x"]}),
            "No. (violence, x)",
        ),
    ],
)
def test_the_servers_words_are_quoted_safely(answer: bytes, words: str) -> None:
    """The server's words stand in the message, in whichever shape they came, and obey no terminal."""
    what = from_status(400, answer, {}).what
    assert what.endswith(f": {words}")
    assert what.isprintable()


@pytest.mark.parametrize(
    ("stage", "charged"),
    [
        ("output", Charged.MAYBE),
        ("unknown", Charged.MAYBE),
        ("something_new", Charged.MAYBE),
        ("input", Charged.NO),
        (None, Charged.NO),
        (7, Charged.NO),
    ],
)
def test_a_refused_output_may_have_been_charged(stage: object, charged: Charged) -> None:
    """An image that was drawn before the safety check refused it is not said to be free."""
    answer = body("No.", "moderation_blocked", moderation_details={"moderation_stage": stage})
    problem = from_status(400, answer, {})
    assert (ExitCode.REFUSED, charged) == (problem.exit_code, problem.charged)


UNREACHED = [
    "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body>",
    "no healthy upstream",
    "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
    "<html><title>ERROR: The requested URL could not be retrieved</title><body id=ERR_CONNECT_FAIL>",
    "503 Connect failed (Privoxy@localhost)",
]
PERHAPS_REACHED = [
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
    "upstream connect error or reset before headers. retried and the latest reset reason: connection failure",
    "<html><title>503 Service Temporarily Unavailable</title>",
]


@pytest.mark.parametrize("page", UNREACHED)
def test_a_proxy_that_reached_no_server_is_told_apart(page: str) -> None:
    """Where a proxy says that it could not connect, nobody can have begun: exit 8, and nothing is owed."""
    problem = from_status(503, page.encode(), {})
    assert (ExitCode.UNREACHABLE, Charged.NO) == (problem.exit_code, problem.charged)
    assert "A proxy could not reach the server (HTTP 503)" in problem.what
    assert "Nothing was charged." == money_sentence(problem)


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        *[(page.encode(), {}) for page in PERHAPS_REACHED],
        *[(body(page), {}) for page in UNREACHED],
        *[(page.encode(), {"openai-processing-ms": "812"}) for page in UNREACHED],
    ],
)
def test_a_request_that_may_have_arrived_is_not_called_free(answer: bytes, headers: dict[str, str]) -> None:
    """A proxy that lost the server, and a server that quotes a proxy behind it, may have begun."""
    problem = from_status(503, answer, headers)
    assert (ExitCode.UNKNOWN, Charged.MAYBE) == (problem.exit_code, problem.charged)


def test_a_gateway_is_not_taken_for_the_server() -> None:
    """A page without OpenAI's error is a gateway's, and no overload of OpenAI's."""
    what = from_status(503, PERHAPS_REACHED[-1].encode(), {}).what
    told = "A gateway in front of the server failed (HTTP 503): 503 Service Temporarily Unavailable"
    assert told == what


ANYTHING: list[Any] = [None, 7, True, "x", [], {}, [None], {"a": 1}, "x" * 100_000, 10**30]


@each("value", ANYTHING)
@each("field", ["message", "code", "type", "param", "moderation_details", "error", "detail"])
def test_no_field_of_any_type_breaks_the_message(field: str, value: object) -> None:
    """A server may put anything anywhere: the message stays one short line."""
    for answer in (
        {field: value},
        {"error": {field: value}},
        {"error": {"moderation_details": {"categories": value}}},
    ):
        problem = from_status(400, answer, {})
        assert problem.exit_code is ExitCode.REFUSED
        assert len(problem.what) < 400
        assert len(problem.code or "") <= 300
        from_code(answer, Progress.GENERATING)


@given(st.integers(300, 599), st.binary(max_size=200))
def test_any_body_makes_a_message(status: int, answer: bytes) -> None:
    """No body is too odd to be told about in one printable line."""
    problem = from_status(status, answer, {})
    assert problem.exit_code is not ExitCode.OK
    assert "\n" not in problem.what
    assert "\x1b" not in problem.what


def test_a_huge_body_is_told_quickly() -> None:
    """A megabyte of hostile text costs milliseconds."""
    for text in ("a" * 1_000_000, "*" * 1_000_000, "<title" * 150_000, "sk-" * 300_000, " " * 1_000_000):
        start = time.process_time()
        from_status(500, text.encode(), {})
        assert time.process_time() - start < 5


def test_codes_and_parameters_are_kept_as_the_server_says_them() -> None:
    """Programs find the server's own code and parameter; some servers send numbers."""
    problem = from_status(400, body("x", 1234, param="size"), {})
    assert ("1234", "size") == (problem.code, problem.param)


@pytest.mark.parametrize(
    ("param", "about"),
    [
        ("tools[0].size", ("size",)),
        ("output_format", ("format",)),
        ("model", ("model",)),
        ("tools[0].model", ("image-model",)),
        ("temperature", ()),
        (None, ()),
    ],
)
def test_a_refused_parameter_is_one_of_our_options(param: object, about: tuple[str, ...]) -> None:
    """The server's name of a parameter is kept; beside it stands the option of ours that it is about."""
    problem = from_status(400, body("bad", "invalid_value", param=param), {})
    assert (param, about) == (problem.param, problem.parameters)


def test_an_unknown_outcome_names_the_request() -> None:
    """Where support must be asked, the request's id is at hand."""
    assert "request req_7" in from_status(500, b"", {"x-request-id": "req_7"}).what
    assert "req_7" not in from_status(400, b"", {"x-request-id": "req_7"}).what


@each(
    ("location", "target"),
    [
        ("https://evil.example/v1/responses?x=1", "https://evil.example"),
        ("http://127.0.0.1:81/x", "http://127.0.0.1:81"),
        ("https://user:secret@evil.example/", "https://evil.example"),
        ("/login", "another path"),
        ("", "another path"),
        ("http://[::1", "another place"),
        ("https://a\x1bb.example/", "https://a\ufffdb.example"),
    ],
)
@each("status", [301, 302, 303, 307, 308])
def test_a_redirect_names_its_target_and_is_not_followed(status: int, location: str, target: str) -> None:
    """The prompt goes to the server that was named, and the other one is named in the message."""
    problem = from_status(status, b"", {"location": location})
    assert (ExitCode.REFUSED, Charged.NO) == (problem.exit_code, problem.charged)
    assert f"redirects to {target} (HTTP {status})" in problem.what
    assert "--base-url" in problem.advice


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "server_is_overloaded"])
def test_a_busy_server_is_busy_only_before_it_drew(code: str) -> None:
    """Nobody is told to simply run it again once a preview had come."""
    before, after = (
        from_code({"code": code}, progress) for progress in (Progress.ANSWERING, Progress.GENERATING)
    )
    assert (ExitCode.BUSY, Charged.NO) == (before.exit_code, before.charged)
    assert (ExitCode.UNKNOWN, Charged.MAYBE) == (after.exit_code, after.charged)
    assert "usage page" in after.advice


@pytest.mark.parametrize("kind", ["invalid_request_error", "image_generation_user_error"])
def test_a_bad_request_inside_a_stream_is_refused(kind: str) -> None:
    """The server's word that the request was wrong counts inside a stream too."""
    problem = from_code(
        {"error": {"type": kind, "message": "Bad size.", "param": "size"}}, Progress.ANSWERING
    )
    assert (ExitCode.REFUSED, "Choose another --size.") == (problem.exit_code, problem.advice)


def test_a_key_in_an_error_body_is_not_quoted() -> None:
    """The message of a 401 holds no key."""
    assert "canary" not in from_status(401, body(f"Incorrect API key provided: {CANARY}"), {}).what


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("<html><title>A &amp; b</title>", "A &amp; b"),
        ("  <p>", ""),
        ('<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x"><html><title>X</title>', "X"),
        ("<!-- a --><HTML lang='en'>", ""),
        ('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', None),
        ("<Error><Code>AccessDenied</Code></Error>", None),
        ("<!DOCTYPE svg><svg>", None),
        ("<p:x>", None),
        ("<!--" * 10_000, None),
        ("{}", None),
        ("", None),
        ("\ufeff<!doctype>", ""),
    ],
)
def test_a_web_page_is_known_by_its_beginning(text: str, title: str | None) -> None:
    """HTML is recognised and named by its title; XML is no page."""
    assert title == page_title(text)


def test_quotes_are_one_short_line() -> None:
    """A quote never fills the screen."""
    assert quoted("a\nb") == "a b"
    assert len(quoted("x" * 10_000)) == 300
