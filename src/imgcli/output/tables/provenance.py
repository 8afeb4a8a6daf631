"""The provenance of an image, as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.messages import image_facts
from imgcli.core.option import option
from imgcli.core.provenance import HistoryState, ManifestState, Verdict
from imgcli.core.text import clean, shorten
from imgcli.output.tables.info import fact_lines
from imgcli.output.text import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.core.provenance import (
        FileVerification,
        HistoryCheck,
        ManifestCheck,
        ServerCheck,
        ServerSignal,
    )
    from imgcli.output.tables.info import Row


INSTALL = "pip install 'imgcli[provenance]'"
"""What installs the library that checks manifests."""

_WORD = 100  # characters of foreign text that names something
_SENTENCE = 300
_PROVES_NOTHING = (
    "That nothing was found or detected proves nothing: metadata is easily removed, a watermark can be "
    "damaged, and many images never had either."
)
_VERDICTS = {
    Verdict.UNCHANGED: "unchanged",
    Verdict.ALTERED: "altered after it was made",
    Verdict.NO_EVIDENCE: "no evidence",
}
_MANIFESTS = {
    ManifestState.TRUSTED: "intact, signed by {signer} (trusted)",
    ManifestState.VALID: "intact, signed by {signer} (on no trust list here)",
    ManifestState.INVALID: "not valid, signed by {signer}",
    ManifestState.ABSENT: "none",
    ManifestState.UNCHECKED: f"present, not checked; {INSTALL}",
    ManifestState.UNREADABLE: "cannot be read",
    ManifestState.UNKNOWN: f"unknown; to look in this format: {INSTALL}",
}
_MISFIT = "does not fit this file, signed by {signer}"
_SERVER_STATES = {
    ManifestState.TRUSTED: "trusted",
    ManifestState.VALID: "valid, but the signer is on no trust list",
    ManifestState.INVALID: "invalid, it does not fit this file",
    ManifestState.ABSENT: "no manifest",
}
_HISTORIES = {
    HistoryState.UNCHANGED: "made by {run}, unchanged since",
    HistoryState.RECEIVED: "made by {run}; as it came, its embedded parameters are removed",
    HistoryState.EMBEDDED: "made by {run}, with parameters embedded",
    HistoryState.CHANGED: "not what {run} saved: changed or replaced since",
    HistoryState.UNKNOWN: "does not know this file",
    HistoryState.UNAVAILABLE: "cannot be read",
}


def verification_lines(found: FileVerification, columns: int | None) -> list[str]:
    """Format a heading with the verdict, and a line for each source; wrapped to so many columns."""
    heading = f"{clean(found.asked)}: {_VERDICTS[found.verdict]}"
    return [heading, *fact_lines(_rows(found), columns)]


def closing_lines(columns: int | None) -> list[str]:
    """Format what is said once, under all files of which something was not found."""
    return wrapped(_PROVES_NOTHING, columns - 1) if columns else [_PROVES_NOTHING]


def _rows(found: FileVerification) -> Iterator[Row]:
    file = found.file
    kind = [file.format.value] if file.format else []
    yield "image", ", ".join([*kind, *image_facts(file.size, file.length)])
    if found.damage:
        yield "damage", shorten(found.damage, _SENTENCE)
    if found.is_embedded:
        yield "parameters", f"embedded ({option('embed')}); imgcli strip removes them"
    yield "manifest", _manifest(found.manifest)
    yield "history", _history(found.history)
    if found.server:
        yield from _server(found.server)


def _manifest(check: ManifestCheck) -> str:
    form = _MISFIT if check.is_tampered else _MANIFESTS[check.state]
    told = [form.format(signer=_word(check.issuer or "nobody who is named"))]
    told += [f"made with {_word(check.generator)}"] if check.generator else []
    told += [_word(check.generated_at)] if check.generated_at else []
    line = ", ".join(told)
    return f"{line} ({shorten('; '.join(check.faults), _SENTENCE)})" if check.faults else line


def _history(check: HistoryCheck) -> str:
    entry = check.entry
    run = f"run {entry.number} of {entry.started.astimezone():%Y-%m-%d %H:%M}" if entry else ""
    return _HISTORIES[check.state].format(run=run)


def _server(check: ServerCheck) -> Iterator[Row]:
    name = shorten(check.host, _WORD)
    if check.problem:
        yield name, f"no answer: {shorten(check.problem.what, _SENTENCE)}"
        return
    if check.skipped:
        yield name, check.skipped
        return
    yield name, f"C2PA {_signal(check.c2pa)}"
    yield "", f"SynthID {_signal(check.synthid)}"


def _signal(signal: ServerSignal | None) -> str:
    if signal is None:
        return "not checked"
    found = "detected" if signal.is_detected else "not detected"
    told = [_SERVER_STATES.get(signal.state, "in an unknown state")] if signal.state else []
    told += [f"signed by {_word(signal.issuer)}"] if signal.issuer else []
    told += [_word(fact) for fact in (signal.model, signal.generated_at) if fact]
    return ": ".join(filter(None, [found, ", ".join(told)]))


def _word(text: str) -> str:
    return shorten(text, _WORD)
