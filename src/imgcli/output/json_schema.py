"""JSON Schemas of all JSON output, from one table; added keys do not change the version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.core.errors import Charged, ExitCode
from imgcli.core.image import ImageFormat
from imgcli.core.option import option

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum


VERSION = 1
"""Keys are added under the same version; it would change if one were removed, or meant something else."""


class Output(NamedTuple):
    """What commands print for programs with these options: objects, one a line where it `is_lines`."""

    commands: str
    options: str
    objects: tuple[str, ...]
    is_lines: bool = True

    @property
    def command(self) -> str:
        """The command line, with all commands that print the same."""
        return " ".join((self.commands, *map(option, self.options.split())))


OUTPUTS = {
    "jsonl": Output("gen, edit, again, batch, view", "jsonl", ("Partial", "Completed", "Queued", "Error")),
    "history": Output("history", "json", ("Run",)),
    "info": Output("info", "json", ("Info",)),
    "tree": Output("tree", "json", ("Member",)),
    "verify": Output("verify", "json", ("Verdict",)),
    "cost": Output("cost", "json", ("Costs",), is_lines=False),
    "models": Output("models", "json", ("Models",), is_lines=False),
    "doctor": Output("doctor", "json", ("Examination",), is_lines=False),
    "config": Output("config show", "json", ("Configuration",), is_lines=False),
    "batch-plan": Output("batch", "dry-run jsonl", ("Task",)),
    "batch-submitted": Output("batch", "later jsonl", ("Submitted",)),
    "batch-status": Output("batch status", "json", ("Batches",), is_lines=False),
    "request": Output("gen, edit, again", "dry-run", ("Request",), is_lines=False),
}

_IMAGE_LINE = (
    "output_index int, partial_image_b64s [str], usage object?, final_model str?, job str, "
    "image int, format ImageFormat, bytes int, sha256 str, elapsed_s num, row? int, id? str?"
)
_SUM = "runs int, cost_usd num?, known_usd num, unknown_runs int"
_OBJECTS = {
    "Partial": f"{_IMAGE_LINE}, status =partial",
    "Completed": (
        f"{_IMAGE_LINE}, status =completed, path str?, width int?, height int?, revised_prompt "
        "str?, response_id str?, tool_usage object?, cost_usd num?"
    ),
    "Queued": (
        "output_index int, partial_image_b64s [str], usage null, status =queued, final_model "
        "null, job str, response_id str, completion_window str"
    ),
    "Error": (
        "output_index int, partial_image_b64s [str], usage object?, status =error, final_model "
        "str?, error bool, message str, code str, param str?, job str?, kind Kind, exit_code "
        "int, charged Charged, advice str, row? int, id? str?"
    ),
    "Run": (
        "id int, job str, started str, ended str, outcome str, message str?, charged Charged?, "
        "cost_usd num?, prompt str?, model str?, image_model str?, endpoint str?, response_id "
        "str?, pictures [Image], parents [Parent], charges [Charge], prices_date str?, usage "
        "object?, tool_usage object?, request object?, billed bool, prices_from str?"
    ),
    "Image": (
        "image int, path str?, sha256 str, format ImageFormat?, bytes int, width int?, height "
        "int?, revised_prompt str?"
    ),
    "Parent": "sha256 str, role str",
    "Charge": (
        "part str, model str, tokens_in int?, cached int?, tokens_out int?, partials int?, cost_usd num?"
    ),
    "Info": (
        "asked str, source str, file File?, image int?, run Run?, saved [Saved], recipe "
        "object?, parents [Ancestor], children [int]"
    ),
    "File": (
        "path str, format ImageFormat?, bytes int, width int?, height int?, sha256 str, "
        "content_credentials str?"
    ),
    "Saved": "image int, path str?, state str, content_credentials str?",
    "Ancestor": "sha256 str, role str, id int?, name str?",
    "Member": (
        "asked bool, id int?, started str?, endpoint str?, outcome str?, cost_usd num?, prompt "
        "str?, pictures [Picture], parents [Origin], children [int]"
    ),
    "Picture": "sha256 str, path str?",
    "Origin": "sha256 str, id int?",
    "Verdict": (
        "asked str, verdict str, exit_code int, file File, damage str?, embedded bool, manifest "
        "Manifest, history Remembered, server Answer?"
    ),
    "Manifest": "state str, issuer str?, generator str?, generated_at str?, faults [str]",
    "Remembered": "state str, id int?, job str?, started str?",
    "Answer": "host str, c2pa Signal?, synthid Signal?, skipped str?, error Fault?",
    "Signal": "detected bool, model str?, generated_at str?, validation_state? str, issuer? str?",
    "Fault": "kind Kind, message str, code str?",
    "Costs": f"{_SUM}, since str?, prices_date str?, groups [Group], demo Sum",
    "Group": f"{_SUM}, name str?",
    "Sum": _SUM,
    "Models": (
        "prices_date str, prices_from str?, models [Model], unknown_image_models [ServerModel], "
        "other_models [ServerModel]"
    ),
    "Model": (
        "name str, kind =text|image, aliases [str], default bool, usable bool?, gone bool, "
        "shutdown str?, shutdown_is_news bool, replacement str?, sizes any, qualities [str]?, "
        "backgrounds [str]?, formats [str]?, complexities [str]?, markup bool?, options object, "
        "prices Prices?, image_dollars object?"
    ),
    "Prices": (
        "text_in num?, text_cached num?, text_out num?, image_in num?, image_cached num?, "
        "image_out num?, date str, source str, caveat str?, table str?, until str?"
    ),
    "ServerModel": "name str, shutdown str?",
    "Examination": "status CheckStatus, exit_code int, kind Kind, checks [Check]",
    "Check": (
        "check str, status CheckStatus, message str, advice str?, exit_code int, kind Kind, facts object"
    ),
    "Configuration": (
        "file str, profile str?, profile_named_by str?, problem str?, options [Option], billed "
        "bool, key_env str?, key_is_set bool?, key_command [str]?, key_file str?, headers "
        "[Header], paths object, presets [Preset]"
    ),
    "Option": "command str, option str, value any, source str, name str?, line int?",
    "Header": "name str, value str?, variable str?, is_set bool",
    "Preset": "name str, line int, prompt str?, options object",
    "Task": (
        "line int, id str?, task str, status str?, prompt str, typed_prompt str?, presets "
        "[str], output str?, api str, model str, image_model str?, size str, quality str, "
        "format ImageFormat, images [str], mask str?, markup str?, max_cost_usd num?"
    ),
    "Submitted": "batch str, rows int",
    "Batches": "batches [Batch]",
    "Batch": (
        "id str?, key str, status str, total int?, completed int?, failed int?, collected int, "
        "source str, server str, endpoint str, model str, created_at str?, expires_at str?, "
        "max_cost_usd num?"
    ),
    "Request": "",
}
"""Objects by their keys, each with its type.

A key with `?` may be missing; a type with `?` may be null; `[x]` is a list of x, `=a|b` one of these words; a
capital begins the name of an object or of an enumeration.
"""

_TYPES = {"str": "string", "int": "integer", "num": "number", "bool": "boolean"}


def error_kinds() -> list[dict[str, object]]:
    """Return what `kind` may be in an error, each with its exit code."""
    kinds: list[dict[str, object]] = [
        {"kind": code.kind, "exit_code": int(code)} for code in ExitCode if code is not ExitCode.OK
    ]
    return [*kinds, {"kind": "interrupted", "exit_code": None}]


def schema_of(name: str) -> dict[str, Any]:
    """Return the schema of an output: of one line where it is lines, else of all of it."""
    output = OUTPUTS[name]
    roots = [_type(one) for one in output.objects]
    what = "one line of" if output.is_lines else "the output of"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:imgcli:output:{VERSION}:{name}",
        "title": f"{what} imgcli {output.command}",
        **(roots[0] if len(roots) == 1 else {"anyOf": roots}),
        "$defs": {one: _definition(one) for one in _used(output.objects)},
    }


def all_schemas() -> dict[str, Any]:
    """Return all of them, with the kinds of errors."""
    outputs = {
        name: {"command": one.command, "is_lines": one.is_lines, "schema": schema_of(name)}
        for name, one in OUTPUTS.items()
    }
    return {"version": VERSION, "error_kinds": error_kinds(), "outputs": outputs}


def _enumerations() -> dict[str, list[str]]:
    from imgcli.output.diagnosis import CheckStatus

    kinds: tuple[type[StrEnum], ...] = (Charged, ImageFormat, CheckStatus)
    named = {kind.__name__: [str(one) for one in kind] for kind in kinds}
    return {**named, "Kind": [ExitCode.OK.kind, *(str(one["kind"]) for one in error_kinds())]}


def _definition(name: str) -> dict[str, Any]:
    if name not in _OBJECTS:
        return {"enum": _enumerations()[name]}
    keys = _keys(name)
    return {
        "type": "object",
        "properties": {key.removesuffix("?"): _type(kind) for key, kind in keys.items()},
        "required": [key for key in keys if not key.endswith("?")],
    }


def _keys(name: str) -> dict[str, str]:
    """Return an object's keys with their types; none for an enumeration."""
    pairs = filter(None, _OBJECTS.get(name, "").split(", "))
    return dict(pair.split(" ", 1) for pair in pairs)


def _type(kind: str) -> dict[str, Any]:
    if kind.endswith("?"):
        return {"anyOf": [_type(kind[:-1]), {"type": "null"}]}
    if kind.startswith("["):
        return {"type": "array", "items": _type(kind[1:-1])}
    if kind.startswith("="):
        return {"enum": kind[1:].split("|")}
    if kind == "any":
        return {}
    return {"$ref": f"#/$defs/{kind}"} if kind[0].isupper() else {"type": _TYPES.get(kind, kind)}


def _used(names: Iterable[str]) -> list[str]:
    """Return these definitions and all that they refer to, each once."""
    found, waiting = dict[str, None](), list(names)
    while waiting:
        name = waiting.pop()
        found[name] = None
        kinds = (kind.strip("[]?") for kind in _keys(name).values())
        waiting += [kind for kind in kinds if kind[:1].isupper() and kind not in found]
    return list(found)
