"""The C2PA manifest of an image: whether it exists and matches, by the optional c2pa-python."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from imgcli.core.errors import usage_error
from imgcli.core.image import ContentCredentials, ImageFormat, content_credentials, sniff
from imgcli.core.json_fields import as_list, as_object, as_text, parse_object
from imgcli.core.option import option
from imgcli.core.provenance import ManifestCheck, ManifestState
from imgcli.store.files import read_named

if TYPE_CHECKING:
    from types import ModuleType


_SETTINGS = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
"""A manifest may name addresses to ask. None is asked: that would tell others what is looked at here."""

_LARGEST_LIST = 16 << 20  # bytes; the official list has some 100 kB
_MOST_FAULTS = 10
_CERTIFICATE = "BEGIN CERTIFICATE"
_STATES = {
    "Trusted": ManifestState.TRUSTED,
    "Valid": ManifestState.VALID,
    "Invalid": ManifestState.INVALID,
}
_UNTRUSTED = "signingCredential.untrusted"
"""The code that makes a manifest valid instead of trusted; it is not a fault of the file."""


def read_trust_list(name: str) -> str:
    """Read a file of certificates whose signers are to be trusted; raises `ImgcliError` (usage)."""
    data, _ = read_named(name, _LARGEST_LIST, "Name a PEM file with certificates.")
    text = data.decode("latin-1")
    fault = None if _CERTIFICATE in text and "\0" not in text else "it has no certificate"
    if fault is None and (library := _library()):
        try:
            library.Context.from_dict(_settings(text)).close()
        except Exception as error:  # noqa: BLE001 - a library of others, over bytes of others
            fault = str(error) or type(error).__name__
    if fault:
        what = f"{option('trust-list')} needs a PEM file of certificates, which this is not: {fault}."
        raise usage_error(what, about=("trust-list",))
    return text


def check_manifest(data: bytes, trusted: str | None = None) -> ManifestCheck:
    """Check an image's manifest, without asking anybody. Never raises, whatever the bytes are.

    `trusted` are certificates (PEM); without them no signer is trusted, and the best state is VALID.
    """
    found = content_credentials(data)
    if found is ContentCredentials.ABSENT:
        return ManifestCheck(ManifestState.ABSENT)
    is_there = found is ContentCredentials.PRESENT
    library = _library()
    if library is None:
        return ManifestCheck(ManifestState.UNCHECKED if is_there else ManifestState.UNKNOWN)
    try:
        return _checked(library, data, _settings(trusted))
    except Exception as error:  # noqa: BLE001 - a library of others, over bytes of others
        return ManifestCheck(ManifestState.UNREADABLE, faults=(str(error) or type(error).__name__,))


def _settings(trusted: str | None) -> dict[str, Any]:
    return {**_SETTINGS, **({"trust": {"trust_anchors": trusted}} if trusted else {})}


def _library() -> ModuleType | None:
    """Return the library where it is installed and can be loaded."""
    try:
        import c2pa
    except Exception:  # noqa: BLE001 - its native part may not load here, which raises what it likes
        return None
    return c2pa  # type: ignore[no-any-return]


def _checked(library: Any, data: bytes, settings: dict[str, Any]) -> ManifestCheck:  # noqa: ANN401 - optional
    with library.Context.from_dict(settings) as context:
        kind = sniff(data)
        mime = "image/svg+xml" if kind is ImageFormat.SVG else f"image/{kind}"
        reader = library.Reader.try_create(mime, io.BytesIO(data), context=context)
        if reader is None:
            return ManifestCheck(ManifestState.ABSENT)
        with reader:
            return _read(parse_object(reader.json()) or {})


def _read(store: dict[str, Any]) -> ManifestCheck:
    """Read the library's report on a manifest store."""
    manifest = as_object(as_object(store.get("manifests")).get(as_text(store.get("active_manifest")) or ""))
    signature = as_object(manifest.get("signature_info"))
    software = [as_object(each) for each in as_list(manifest.get("claim_generator_info"))[:1]]
    active = as_object(as_object(store.get("validation_results")).get("activeManifest"))
    codes = [as_text(as_object(each).get("code")) for each in as_list(active.get("failure"))]
    faults = dict.fromkeys(code for code in codes if code and code != _UNTRUSTED)
    return ManifestCheck(
        _STATES.get(as_text(store.get("validation_state")) or "", ManifestState.UNREADABLE),
        as_text(signature.get("issuer")) or as_text(signature.get("common_name")),
        next((as_text(each.get("name")) for each in software), None)
        or as_text(manifest.get("claim_generator")),
        as_text(signature.get("time")),
        tuple(faults)[:_MOST_FAULTS],
    )
