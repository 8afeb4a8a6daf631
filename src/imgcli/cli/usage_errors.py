"""Errors in command lines: Typer's errors in our words, with suggestions.

Loaded only when a command line is wrong.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.text import clean, did_you_mean, shorten, similar_names
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import typer


_REWORDED = {
    ": Value error, ": ": ",
    "Input should be a valid integer, unable to parse string as an integer": "it must be a whole number",
    "Input should be a valid integer, got a number with a fractional part": "it must be a whole number",
    "Input should be a valid number, unable to parse string as a number": "it must be a number",
}
"""Sentences of Typer's validation, and plain ones for them."""

_COMMANDS_ELSEWHERE = {
    "gen": {"create", "draw", "generate", "image", "make", "new", "paint"},
    "again": {"redo", "repeat", "rerun", "retry", "variation", "vary"},
    "view": {"cat", "display", "play", "preview", "replay", "show"},
    "history": {"list", "log", "ls"},
    "cost": {"bill", "price", "spend", "usage"},
    "config": {"configure", "profile", "set", "settings"},
    "recover": {"restore", "resume", "salvage"},
    "--version": {"version"},
}
"""Our commands, and their names in other programs."""

_OPTIONS_ELSEWHERE = {
    "size": {"aspect", "aspect-ratio", "dimensions", "ratio", "resolution"},
    "image": {"input", "reference"},
    "output": {"file", "out-file", "outfile"},
    "instructions": {"system", "system-prompt"},
    "reasoning-effort": {"effort", "reasoning", "thinking"},
    "safety-identifier": {"user"},
    "service-tier": {"tier"},
}
_KEYS = 'Put the key in the environment: export OPENAI_API_KEY="sk-..."; other users can see command lines.'
_NO_SUCH_THING = {
    "negative-prompt": "Describe in the prompt what the image must not contain.",
    "prompt": 'Write the prompt as an argument: imgcli gen "a cat"',
    "api-key": _KEYS,
    "key": _KEYS,
    "token": _KEYS,
}
"""Options of other image generators that we do not have, and what to do instead."""

_QUOTED = 60  # characters of a prompt that a suggestion repeats
_PLAIN = regex(r"[^\"$`\\!]+")


def wrong_usage(error: typer.TyperException, args: Sequence[str], command: Sequence[str]) -> Problem:
    """Return Typer's error about `args` as a problem; `command` is used if the error has no context."""
    context = getattr(error, "ctx", None)
    page = f"See {context.command_path if context else ' '.join(['imgcli', *command])} --help."
    option = getattr(error, "option_name", None)
    if context and option and hasattr(error, "possibilities"):
        return _no_option(_as_typed(option, args), context, page)
    sentence = clean(error.format_message()).rstrip(".")
    sentence += "" if sentence.endswith("?") else "."
    for theirs, ours in _REWORDED.items():
        sentence = sentence.replace(theirs, ours)
    return Problem(ExitCode.USAGE, sentence, advice=page)


def no_command(args: Sequence[str], group: Any, path: str) -> ImgcliError:  # noqa: ANN401 - Typer's own type
    """Return the error for an unknown command, with the command or prompt that was probably meant."""
    name, known, is_top = args[0], list(group.commands), " " not in path
    if name == "help":
        return usage_error(f"Did you mean {path} --help?")
    if not name.strip():
        return usage_error('No such command: "".', f"For a list of commands: {path} help")
    elsewhere = _ours(name, _COMMANDS_ELSEWHERE) if is_top else []
    meant = [] if " " in name.strip() else elsewhere or similar_names(name, known)
    words = list(_before_options(args))
    advice = [did_you_mean(f"{path} {one}" for one in meant)]
    if is_top and (not meant or (len(words) > 1 and not elsewhere)):
        commands = "" if len(words) > 1 or " " in name else "; for a list of commands: imgcli help"
        advice.append(f"To generate an image: imgcli gen {_quoted(' '.join(words))}{commands}")
    elif not meant:
        advice.append(f"Its commands are {', '.join(known)}.")
    return usage_error(f'No such command: "{shorten(name, _QUOTED)}".', " ".join(filter(None, advice)))


def asks_for_help(path: str) -> ImgcliError:
    """Return the error for the word `help` alone, which is neither a prompt nor a file."""
    return usage_error(f"Did you mean {path} --help?", f"To use the word itself: {path} -- help")


def _as_typed(name: str, args: Sequence[str]) -> str:
    """Return the whole word of a short option: `-help` is read letter by letter."""
    if name.startswith("--"):
        return clean(name)
    words = (word for word in args if re.match(r"-[a-z-]{2,}", word) and name[-1:] in word)
    return clean(next(words, name))


def _no_option(name: str, context: Any, page: str) -> Problem:  # noqa: ANN401 - Typer's own type
    own = {option[2:] for one in context.command.get_params(context) for option in one.opts if option[2:]}
    word = name.lstrip("-").lower()
    meant = [one for one in _ours(word, _OPTIONS_ELSEWHERE) if one in own] or similar_names(word, own)
    advice = did_you_mean(f"--{one}" for one in meant if len(word) > 1)
    if word in _NO_SUCH_THING and (context.parent is None or "model" in own):
        advice = _NO_SUCH_THING[word]
    elif context.parent is None and not advice:
        advice = f'Put options after the command, such as imgcli gen "a cat" {name}. {page}'
    return Problem(ExitCode.USAGE, f"No such option: {name}.", advice=advice or page)


def _ours(word: str, elsewhere: dict[str, set[str]]) -> list[str]:
    return [ours for ours, theirs in elsewhere.items() if word.lower() in theirs]


def _before_options(args: Iterable[str]) -> Iterator[str]:
    for word in args:
        if word.startswith("-"):
            return
        yield word


def _quoted(prompt: str) -> str:
    """Quote a prompt for a shell; a long one is left out."""
    shown = shorten(prompt, _QUOTED)
    if shown != prompt:
        return '"..."'
    return f'"{prompt}"' if _PLAIN.fullmatch(prompt) else shlex.quote(prompt)
