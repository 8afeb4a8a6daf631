"""A server's error response, as one of our problems."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imgcli.api.errors import table
from imgcli.api.errors.table import ErrorRule, Progress
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, Problem
from imgcli.core.json_fields import as_code, as_list, as_object, as_text, parse_object
from imgcli.core.option import option
from imgcli.core.secrets import redact
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Mapping


_NOT_FOUND = 404
_OPENAIS_OWN = frozenset({"openai-processing-ms", "openai-version", "x-request-id"})
"""Headers of an answer that the API itself gave."""
_LONGEST_QUOTE = 300
_LONGEST_LINK = 4000
_HEAD = 4096
_PAGE = regex(
    r"[\ufeff\s]*+(?:<\?xml[^>]*+>\s*+)?(?:<!--(?:(?!-->).)*+-->\s*+)?"  # may stand before XML too
    r"<(?:!doctype(?:\s+html|(?=>))|html|head|body|title|meta|h[1-6]|p|div|center|pre)(?=[\s>/]|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_TITLE = regex(r"<title[^>]{0,200}>([^<]{1,500})", re.IGNORECASE)


def quoted(text: str) -> str:
    """Return a server's words as they can stand in our sentence: redacted, clean, one line, not long."""
    return shorten(redact(text[: 20 * _LONGEST_QUOTE]), _LONGEST_QUOTE)


def link(url: str) -> str:
    """Return a server's link as it can be copied from a message: safe, and whole, as a cut one is useless."""
    return shorten(redact(url[: 20 * _LONGEST_LINK]), _LONGEST_LINK)


def page_title(text: str) -> str | None:
    """Return the title of an HTML page, "" when it has none; None when this is not HTML."""
    if not _PAGE.match(text[:_HEAD]):
        return None
    title = _TITLE.search(text)
    return quoted(title[1]) if title else ""


@dataclass(frozen=True)
class ServerError:
    """An error as the server reports it, in any of the known shapes."""

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None
    moderated: str | None = None
    """What the safety check refused: "input", "output" or "unknown"; None when the server does not say."""

    @classmethod
    def of(cls, body: object) -> ServerError:
        """Read `{"error": {...}}`, a flat error, FastAPI's `{"detail": ...}`, a page or plain text."""
        if isinstance(body, str):
            title = page_title(body)
            return cls(quoted(body) if title is None else title)
        fields = as_object(body)
        error = fields["error"] if fields.get("error") else fields
        if isinstance(error, str):
            return cls(quoted(error))
        return cls._of_fields(as_object(error))

    @classmethod
    def _of_fields(cls, error: dict[str, Any]) -> ServerError:
        message = as_text(error.get("message")) or _detail(error.get("detail"))
        details = as_object(error.get("moderation_details"))
        return cls(
            quoted(" ".join([message, *_categories(details)])),
            _word(error.get("code")),
            _type(error),
            _word(error.get("param")),
            as_text(details.get("moderation_stage")),
        )

    @property
    def may_have_generated(self) -> bool:
        """Whether there may have been an image, which the safety check then refused."""
        return self.moderated not in (None, "input")

    @property
    def codes(self) -> frozenset[str]:
        """What to look up in the rules: some servers put the code into `type`."""
        return frozenset(word for word in (self.code, self.type) if word)


def _word(value: object) -> str | None:
    """Read a code or a parameter's name, which is a short word."""
    word = as_code(value)
    return quoted(word) if word else None


def _type(error: dict[str, Any]) -> str | None:
    """Read an error's type, unless the error is flat and this is its event's."""
    kind = _word(error.get("type"))
    return None if kind is None or kind == "error" or "." in kind else kind


def _detail(detail: object) -> str:
    """Read FastAPI's `detail`: a sentence, or a list of objects with `loc` and `msg`."""
    if isinstance(detail, str):
        return detail
    entries = [as_object(entry) for entry in as_list(detail)[:5]]
    return "; ".join(filter(None, (as_text(entry.get("msg")) for entry in entries)))


def _categories(details: dict[str, Any]) -> list[str]:
    """List the categories of a moderation, where the server names them."""
    names = [name for name in as_list(details.get("categories"))[:10] if as_text(name)]
    return [f"({', '.join(names)})"] if names else []


def from_status(status: int, body: object, headers: Mapping[str, str]) -> Problem:
    """Return what an HTTP status other than 2xx means.

    `body` is what came with it: bytes, text or JSON; it may be cut, empty or no JSON. `headers` has
    lower-case names. Sources: OpenAI's guide to error codes, and wordings seen in public, in `table`.
    """
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own classes
        return _redirect(status, headers.get("location", ""))
    parsed = _parsed(body)
    error = ServerError.of(parsed)
    rule = _status_rule(status, error)
    if isinstance(parsed, dict):
        rule = table.NO_ENDPOINT if rule is table.STATUSES[_NOT_FOUND] else rule
    elif rule is table.FAILED and not _OPENAIS_OWN & headers.keys():
        rule = _gateway_rule(status, f"{parsed or ''}\n{headers.get('x-squid-error', '')}")
    request = quoted(headers.get("x-request-id", "")) if rule.exit_code is ExitCode.UNKNOWN else ""
    lead = f"{rule.what} (HTTP {status}{f', request {request}' if request else ''})"
    may_have_generated = error.may_have_generated or (
        status >= table.SERVER_FAULT and rule not in (table.BUSY, table.UNREACHED)
    )
    progress = Progress.GENERATING if may_have_generated else Progress.REFUSING
    return _problem(rule, error, _sentence(lead, error.message), progress)


def _parsed(body: object) -> object:
    """Read a body as JSON if it is, else as text."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    return (parse_object(text) or text) if isinstance(text, str) else text


def _status_rule(status: int, error: ServerError) -> ErrorRule:
    """Find the rule by what the body says, else by the status.

    A server that failed is not judged by its message, which is about whatever broke behind it.
    """
    failed = status >= table.SERVER_FAULT
    rule = next((rule for rule in table.RULES if rule.fits(error.codes)), None) if failed else _rule(error)
    if rule is None or (rule is table.BUSY and status not in table.BUSY_STATUSES):
        return table.STATUSES.get(status) or (table.FAILED if failed else table.REJECTED)
    return rule


def _gateway_rule(status: int, text: str) -> ErrorRule:
    """Find the rule for a failure that is not reported in JSON, which means that a proxy answered.

    A server that quotes a proxy is about what is behind it, where the request may have begun.
    """
    if table.UNREACHED.fits(frozenset(), text.lower()):
        return table.UNREACHED
    return table.GATEWAY if status in table.GATEWAY_STATUSES and text.strip() else table.FAILED


def _redirect(status: int, location: str) -> Problem:
    """Return the problem of a redirect, which is not followed: prompt and key are meant for one server."""
    try:
        parts = urlsplit(location)
        target = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "another path"
    except ValueError:
        target = "another place"
    what = f"The server redirects to {quoted(target)} (HTTP {status}); imgcli does not follow redirects."
    return Problem(ExitCode.REFUSED, what, Charged.NO, table.WRONG_ADDRESS)


def from_code(body: object, progress: Progress) -> Problem:
    """Return what an error inside an answer means: a JSON object, nested or flat, or None."""
    error = ServerError.of(body)
    rule = _rule(error) or (table.REJECTED if error.type in table.REFUSAL_TYPES else table.STOPPED)
    if rule.exit_code is ExitCode.BUSY and progress is Progress.GENERATING:
        rule = replace(rule, exit_code=ExitCode.UNKNOWN, advice=CHECK_USAGE)
    return _problem(rule, error, _sentence(rule.what, error.message or error.code or ""), progress)


def _rule(error: ServerError) -> ErrorRule | None:
    """Find the rule for an error by its code, type or words, or by the parameter that it is about."""
    if error.param == "previous_response_id":
        return table.PREVIOUS_RESPONSE_NOT_FOUND
    if error.param == "response_format":
        return table.RESPONSE_FORMAT
    message = error.message.lower()
    return next((rule for rule in table.RULES if rule.fits(error.codes, message)), None)


def _sentence(lead: str, message: str) -> str:
    """Put the server's words behind ours, and end with one full stop."""
    return f"{lead}: {message}" if message else f"{lead}."


def _problem(rule: ErrorRule, error: ServerError, what: str, progress: Progress) -> Problem:
    about = _our_option(error.param) if rule is table.REJECTED else None
    advice = f"Choose another {option(about)}." if about else rule.advice
    code = error.code or error.type
    return Problem(
        rule.exit_code,
        what,
        table.charged(rule.exit_code, progress),
        advice,
        code,
        error.param,
        cause=rule.cause,
        parameters=(about,) if about else (),
    )


_BACKGROUND = regex(
    r"background[ _-](?:mode|response|execution|processing|request|options)|in (?:the )?background\b"
    r"|completion[ _]window",
    re.IGNORECASE,
)
_OF_BACKGROUND = frozenset({"background", "background_options", "store"})


def is_about_background(problem: Problem) -> bool:
    """Return whether a request was refused because it wanted to run in the background.

    Of the Responses API: on the other one, `background` is that of the image.
    """
    if problem.exit_code is not ExitCode.REFUSED or problem.cause or problem.code in table.MODERATION.codes:
        return False
    top = (problem.param or "").partition(".")[0]
    return top in _OF_BACKGROUND or bool(_BACKGROUND.search(problem.what))


def _our_option(param: str | None) -> str | None:
    """Find our option for the server's parameter, for instance `tools[0].size`."""
    path = [name.partition("[")[0] for name in (param or "").split(".")]
    for start in range(len(path) - 1):  # a parameter in an object, such as `svg.model`
        if (name := ".".join(path[start:])) in table.OPTIONS:
            return table.OPTIONS[name]
    if path[-1] == "model":
        return "model" if len(path) == 1 else "image-model"
    return next((table.OPTIONS[name] for name in path if name in table.OPTIONS), None)
