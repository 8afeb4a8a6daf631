"""Events and problems as sentences for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.errors import Cause, Charged, ExitCode
from imgcli.core.option import option
from imgcli.core.text import MINUTE, duration, file_size, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgcli.core.errors import Problem
    from imgcli.core.request import ImageRequest


FETCH_LATER = "`imgcli recover` fetches the image once it is ready, which costs nothing."
RUN_LOG_KEPT = f"The run log is kept; `imgcli recover {option('list')}` shows it."
STOPPING = "finishing; Ctrl-C again stops at once"
"""What a batch says after a first Ctrl-C."""

_LONGEST = 1500  # characters of foreign text in one line: a server may answer with a whole page
_LONGEST_PROBLEM = 4500  # a truncated signed link is useless; other foreign text is truncated earlier
_NAME_LENGTH = 80
_BOLD_RED, _RESET = "\x1b[1;31m", "\x1b[0m"
_NOTHING_SENT = frozenset({ExitCode.USAGE, ExitCode.UNREACHABLE, ExitCode.UNWRITABLE})
_SENT_UNREAD = frozenset({Cause.INCOMPLETE_REQUEST, Cause.PROXY_FAILED})


def started_line(request: ImageRequest) -> str:
    """Format what is requested: model, size, quality, presets."""
    known = [_name(request.model), *_tool_model(request), *_choices(request), *_images(request)]
    known += [preset_words(request.presets)] if request.presets else []
    return f"asking {', '.join(known)}"


def _tool_model(request: ImageRequest) -> list[str]:
    return [f"drawing with {_name(request.image_model)}"] if request.image_model else []


def _choices(request: ImageRequest) -> list[str]:
    size = [_name(request.size)] if request.size else []
    return size + ([f"{_name(request.quality)} quality"] if request.quality else [])


def _images(request: ImageRequest) -> list[str]:
    """List what is sent with the prompt."""
    count = len(request.references)
    drawn = " and a mask" * bool(request.mask) + " and markup" * bool(request.markup)
    images = [f"from {count} image{'s' * (count != 1)}{drawn}"]
    return (images if count else []) + ["continuing"] * bool(request.previous_response_id)


def preset_words(names: Sequence[str]) -> str:
    """Name presets: `preset woodcut`, `presets woodcut, wide`."""
    return f"preset{'s' * (len(names) > 1)} {', '.join(map(_name, names))}"


def recovering_line(when: str, prompt: str) -> str:
    """Format which earlier run is being recovered."""
    return f"recovering the run of {when}: {shorten(prompt, _LONGEST)}"


def describe_contents(finals: int, partials: int, salvaged: int = 0, links: int = 0) -> str:
    """Describe the contents of a run log; `salvaged` images are in events that cannot be parsed."""
    unread = "an unread image" if salvaged == 1 else f"{salvaged} unread images"
    if finals:
        final = "final image" if finals == 1 else f"{finals} final images"
        return f"{final} and {unread}" if salvaged else final
    if salvaged:
        return unread
    if links:
        return "a link to an image" if links == 1 else f"{links} links to images"
    return f"{partials} partial image{'s' * (partials != 1)}" if partials else "nothing"


def partial_label(number: int, requested: int) -> str:
    """Format a partial's number, `partial 2 of 3`; some servers send more than requested."""
    return f"partial {number} of {requested}" if number <= requested else f"partial {number}"


def waiting_line(seconds: float, reason: str) -> str:
    """Format when and why the request is sent again."""
    return f"retrying in {duration(seconds)}: {shorten(reason, _LONGEST)}"


def still_waiting_line(seconds: float, *, has_image: bool) -> str:
    """Format a sign of life, for a log in which nothing else happens."""
    return f"waiting for {'the end of the answer' if has_image else 'the image'} ({int(seconds)} s)"


def notice_line(text: str) -> str:
    """Format a notice."""
    return f"note: {shorten(text, _LONGEST)}"


def saved_line(name: str, facts: Iterable[str], separator: str) -> str:
    """Format where an image was saved: `saved a-cat.png · 1024x1024 · 1.7 MB`."""
    return separator.join([f"saved {shorten(name, _LONGEST)}", *facts])


def unsaved_line(facts: Iterable[str], separator: str, remark: str) -> str:
    """Format the facts of an image that is not saved."""
    return separator.join([*filter(None, [remark]), *facts])


def image_facts(pixels: tuple[int, int] | None, size: int) -> list[str]:
    """List an image's size in pixels, where known, and in bytes."""
    return ([f"{pixels[0]}x{pixels[1]}"] if pixels else []) + [file_size(size)]


def problem_lines(problem: Problem, *, in_color: bool = False) -> list[str]:
    """Format a problem: what happened, whether it cost money, what to do next; safe to print."""
    money = [] if problem.is_local else [money_sentence(problem)]
    advice = [shorten(problem.advice, _LONGEST)] if problem.advice else []
    prefix = f"{_BOLD_RED}error:{_RESET}" if in_color else "error:"
    return [f"{prefix} {shorten(problem.what, _LONGEST_PROBLEM)}", *money, *advice]


def money_sentence(problem: Problem) -> str:
    """Return whether money was spent, as a sentence."""
    match problem.charged:
        case Charged.YES if problem.exit_code is ExitCode.REFUSED:
            return "The text model's tokens were charged."
        case Charged.YES:
            return "You were charged for this image."
        case Charged.MAYBE:
            return "You may have been charged."
        case Charged.NO if problem.exit_code in _NOTHING_SENT and problem.cause not in _SENT_UNREAD:
            return "Nothing was sent; nothing was charged."
        case Charged.NO:  # pragma: no branch - there is no other
            return "Nothing was charged."


def unbilled_lines(count: int) -> list[str]:
    """Say under the bill of several requests how many of them may have cost more than it knows."""
    requests = "1 request" if count == 1 else f"{count} requests"
    return [f"The bill lacks {requests} that may have been charged."] if count else []


def age(seconds: float) -> str:
    """Format roughly how long ago something was: `3 min`, `5 h`, `97 d`."""
    minutes = max(int(seconds), 0) // MINUTE
    hours = minutes // MINUTE
    days = hours // 24
    return f"{days} d" if days else f"{hours} h" if hours else f"{minutes} min"


def _name(text: str) -> str:
    return shorten(text, _NAME_LENGTH)
