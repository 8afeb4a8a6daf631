"""Everything that is known of a picture or a run, as an object for programs. Its keys are a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.show.history_table import entry_json

if TYPE_CHECKING:
    from imgcli.core.provenance import Ancestor, FileFacts, Provenance, Whereabouts


def provenance_json(known: Provenance) -> dict[str, Any]:
    """Write it down; what is not known is null."""
    return {
        "asked": known.asked,
        "source": known.source,
        "file": _file(known.file) if known.file else None,
        "image": known.image,
        "run": entry_json(known.entry) if known.entry else None,
        "saved": list(map(_saved, known.pictures)),
        "recipe": known.recipe.to_json() if known.recipe else None,
        "parents": list(map(_parent, known.parents)),
        "children": [child.number for child in known.children],
    }


def _file(file: FileFacts) -> dict[str, Any]:
    width, height = file.size or (None, None)
    return {
        "path": str(file.path),
        "format": file.format,
        "bytes": file.length,
        "width": width,
        "height": height,
        "sha256": file.sha256,
        "content_credentials": file.credentials,
    }


def _saved(each: Whereabouts) -> dict[str, Any]:
    return {
        "image": each.picture.image,
        "path": str(each.picture.path) if each.picture.path else None,
        "state": each.state,
        "content_credentials": each.facts.credentials if each.facts else None,
    }


def _parent(parent: Ancestor) -> dict[str, Any]:
    return {
        "sha256": parent.sha256,
        "role": parent.role,
        "id": parent.entry.number if parent.entry else None,
        "name": parent.name,
    }
