"""The provenance of an image: findings in its bytes, the history and from a server, and the verdict."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from imgcli.core.errors import ExitCode, most_severe
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from imgcli.core.errors import Problem
    from imgcli.core.history import FileFacts, HistoryEntry


class ManifestState(StrEnum):
    """The state of a C2PA manifest. The first four are words of OpenAI's API.

    VALID means intact, but signed by somebody who is on no list of trusted signers.
    """

    TRUSTED = "trusted"
    VALID = "valid"
    INVALID = "invalid"
    ABSENT = "not_present"
    UNCHECKED = "unchecked"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ManifestCheck:
    """What this machine found in a file: the signer and the software that the manifest names.

    `faults` are the codes of the C2PA specification for what does not fit, or an error's sentence.
    """

    state: ManifestState
    issuer: str | None = None
    generator: str | None = None
    generated_at: str | None = None
    faults: tuple[str, ...] = ()

    @property
    def is_tampered(self) -> bool:
        """Whether the bytes are not those that were signed; a certificate may be at fault as well."""
        return self.state is ManifestState.INVALID and any("mismatch" in fault for fault in self.faults)


@dataclass(frozen=True)
class ServerSignal:
    """What a server found of one kind of mark, C2PA or SynthID; `state` is C2PA's alone."""

    is_detected: bool
    state: ManifestState | None = None
    issuer: str | None = None
    model: str | None = None
    generated_at: str | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether the file is as it was when it was signed, by a signer whom the server knows.

        A watermark does not say that: it survives changes, as it is meant to.
        """
        return self.state is ManifestState.TRUSTED or (self.state is ManifestState.VALID and self.is_detected)


@dataclass(frozen=True)
class ServerCheck:
    """What a server says of a file: None for a mark that it does not mention.

    `problem` is why it was not asked, or did not answer; `skipped` why it cannot be asked about this file.
    """

    host: str
    c2pa: ServerSignal | None = None
    synthid: ServerSignal | None = None
    problem: Problem | None = None
    skipped: str | None = None


class HistoryState(StrEnum):
    """What the history knows of a file.

    RECEIVED: these bytes came, and were saved with parameters that are gone again. EMBEDDED: an image of a
    run, with parameters in it. CHANGED: a run's image was here, or is named in the file, and it is not this.
    """

    UNCHANGED = "unchanged"
    RECEIVED = "received"
    EMBEDDED = "embedded"
    CHANGED = "changed"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class HistoryCheck:
    """What the history says, and the run that it is about."""

    state: HistoryState
    entry: HistoryEntry | None = None


class Verdict(StrEnum):
    """What follows from everything that is known of a file."""

    UNCHANGED = "unchanged"
    ALTERED = "altered"
    NO_EVIDENCE = "no_evidence"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code for one such file."""
        return _CODES[self]


_CODES = {
    Verdict.UNCHANGED: ExitCode.OK,
    Verdict.ALTERED: ExitCode.ALTERED,
    Verdict.NO_EVIDENCE: ExitCode.NO_EVIDENCE,
}
_CONFIRMING = frozenset({HistoryState.UNCHANGED, HistoryState.RECEIVED})


@dataclass(frozen=True)
class FileVerification:
    """Everything that was found out about a file; `is_embedded` says that it carries parameters of ours.

    `damage` is what keeps it from being a whole image. `server` is None where no server was to be asked.
    """

    asked: str
    file: FileFacts
    is_embedded: bool
    manifest: ManifestCheck
    history: HistoryCheck
    server: ServerCheck | None = None
    damage: str | None = None

    @property
    def verdict(self) -> Verdict:
        """What follows. A signature that does not match, or embedded parameters, outweigh every confirmation.

        Other signs do not: it may have arrived damaged, or be another image than the one that had its name.
        """
        c2pa = self.server.c2pa if self.server else None
        tamper_signs = (
            self.is_embedded,
            self.manifest.is_tampered,
            c2pa is not None and c2pa.state is ManifestState.INVALID,
        )
        if any(tamper_signs):
            return Verdict.ALTERED
        confirmations = (
            self.history.state in _CONFIRMING,
            self.manifest.state is ManifestState.TRUSTED,
            c2pa is not None and c2pa.is_trusted,
        )
        if any(confirmations):
            return Verdict.UNCHANGED
        is_changed = self.damage is not None or self.history.state is HistoryState.CHANGED
        return Verdict.ALTERED if is_changed else Verdict.NO_EVIDENCE

    @property
    def exit_code(self) -> ExitCode:
        """The exit code, which is also about a server that was to be asked and did not answer."""
        problem = self.server.problem if self.server else None
        return most_severe([self.verdict.exit_code, *([problem.exit_code] if problem else [])])

    @property
    def has_missing_marks(self) -> bool:
        """Whether something was looked for and not found, which proves nothing."""
        signals = (self.server.c2pa, self.server.synthid) if self.server else ()
        return self.verdict is Verdict.NO_EVIDENCE or any(
            signal is not None and not signal.is_detected for signal in signals
        )
