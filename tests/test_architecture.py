"""The rules of docs/architecture.md: who may import whom, how large a file gets, what things are called."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "imgcli"
LAYERS = {"cli", "app", "api", "store", "output", "demo", "web", "core"}
MAY_IMPORT = {
    "cli": LAYERS - {"cli"},
    "app": LAYERS - {"cli", "app"},
    "api": {"core"},
    "store": {"core"},
    "output": {"core"},
    "demo": set[str](),
    "web": {"core"},
    "core": set[str](),
}
ONLY_IN = {
    "openai": {"api/client.py", "api/sdk.py"},
    "httpx2": {"api/client.py", "api/transport.py"},
    "typer": {"cli/"},
    "rich": {"output/"},
    "rich_pixels": {"output/"},
    "c2pa": {"store/manifest.py"},
    "pybase64": {"api/stream/assembler.py"},
    "PIL": {"output/", "store/", "demo/"},
    "platformdirs": {"store/"},
    "tomlkit": {"cli/config/file.py"},
    "python_multipart": set[str](),  # Starlette imports it where a form comes
    "starlette": {"web/", "demo/"},
    "uvicorn": {"web/", "demo/"},
    "h11": {"web/", "demo/"},
}
MOST_FILES, MOST_LINES, LONGEST_FUNCTION = 25, 400, 50
NOUNS = {"naming", "billing", "reporting", "spending", "drawing", "existing"}
"""Nouns of the field that end in -ing; a file is named after what it exports, not after an activity."""
NO_VERBS = {"Give", "Spell"}
"""First words of docstrings that PEP 257 has better ones for: Return, Format."""
MODULES = sorted(SOURCE.rglob("*.py"))


def dotted(module: Path) -> str:
    """Return the name by which others import a module."""
    parts = module.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {dotted(module): module for module in MODULES}


@cache
def parsed(module: Path) -> list[ast.AST]:
    """List all nodes of a module."""
    return list(ast.walk(ast.parse(module.read_text(encoding="utf-8"))))


@cache
def imported(module: Path) -> set[str]:
    """List the dotted names that a module imports anywhere in its text, also only for types."""
    names: set[str] = set()
    for node in parsed(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer(module: Path) -> str:
    """Name the layer that a module lives in; empty for the two at the top."""
    inside = module.relative_to(SOURCE).parts
    return inside[0] if len(inside) > 1 else ""


def test_imports_point_one_way() -> None:
    """Cli uses app, app uses api, store, output, demo and web; those use core alone, never each other."""
    for module in MODULES:
        allowed = MAY_IMPORT.get(layer(module), {"cli", "app"}) | {layer(module)}
        reached = {name.split(".")[1] for name in imported(module) if name.startswith("imgcli.")}
        assert set() == (reached & LAYERS) - allowed, module


def test_each_library_has_its_room() -> None:
    """Each library is known in one room only: openai in two files, rich in output, tomlkit in one file."""
    for module in MODULES:
        inside = str(module.relative_to(SOURCE))
        roots = {name.partition(".")[0] for name in imported(module)}
        strangers = {
            library
            for library, places in ONLY_IN.items()
            if library in roots and not inside.startswith(tuple(places))
        }
        assert set() == strangers, module


def test_core_is_pure() -> None:
    """Core needs the standard library alone, and none of its doors to the world."""
    doors = {"os", "sys", "time", "socket", "subprocess", "threading", "io", "shutil", "tempfile"}
    for module in (module for module in MODULES if layer(module) == "core"):
        roots = {name.partition(".")[0] for name in imported(module)}
        assert set() == roots & doors, module
        assert set() == roots - set(sys.stdlib_module_names) - {"imgcli"}, module


def uses(module: Path) -> set[str]:
    """List the modules of ours that a module imports, also only for types."""
    found = set[str]()
    for name in imported(module):
        found |= {name} & NAMES.keys() or {name.rpartition(".")[0]} & NAMES.keys()
    return {one for one in found if NAMES[one].name != "__init__.py"} - {dotted(module)}


def test_no_import_goes_in_circles() -> None:
    """No module reaches itself through the modules that it imports."""
    graph = {name: uses(module) for name, module in NAMES.items()}
    while ends := {name for name, used in graph.items() if not used & graph.keys()}:
        graph = {name: used for name, used in graph.items() if name not in ends}
    rings = {name: sorted(used & graph.keys()) for name, used in graph.items()}
    assert {} == rings


def loaded_by(args: list[str]) -> set[str]:
    """List the modules that a command line has loaded at its end."""
    code = (
        "import sys, os\n"
        f"sys.argv = ['imgcli', *{args!r}]\n"
        "os._exit = lambda code: (print(*sorted(sys.modules), file=sys.stderr), sys.exit(code))\n"
        "from imgcli.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["gen", "--help"], ["serve", "--help"]], ids=" ".join
)
def test_help_is_light(args: list[str]) -> None:
    """Help and version load none of the heavy packages, so that they come at once."""
    loaded = {name.partition(".")[0] for name in loaded_by(args)}
    heavy = {"openai", "httpx2", "PIL", "rich", "rich_pixels", "tomlkit", "starlette", "uvicorn"}
    assert ("imgcli" in loaded, set()) == (True, loaded & heavy)


def test_dry_run_is_light() -> None:
    """A dry run loads nothing that sends, shows, saves or remembers an image."""
    loaded = loaded_by(["gen", "a cat", "--dry-run"])
    late = ("api.client", "output.sinks", "output.images", "store.verify", "store.history", "app.lookup")
    assert "imgcli.app.generate" in loaded
    assert [] == [name for name in late if f"imgcli.{name}" in loaded]


def nodes(module: Path, *kinds: type[ast.AST]) -> list[ast.AST]:
    """List the nodes of these kinds in a module, at any depth."""
    return [node for node in parsed(module) if type(node) in kinds]


def test_no_room_outgrows_itself() -> None:
    """No folder has more than 25 files, no file more than 400 lines, no function but one more than 50."""
    crowded = [
        str(folder)
        for folder in {module.parent for module in MODULES}
        if len(list(folder.glob("[!_]*.py"))) > MOST_FILES
    ]
    long_files = [str(m) for m in MODULES if m.read_text(encoding="utf-8").count("\n") > MOST_LINES]
    long_functions = [
        f"{module.name}:{function.name}"
        for module in MODULES
        for function in nodes(module, ast.FunctionDef)
        if isinstance(function, ast.FunctionDef)
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION
        and function.name != "shared_options"  # its signature declares the options
    ]
    assert ([], [], []) == (crowded, long_files, long_functions)


def test_names_are_found_once() -> None:
    """A file is named after a noun and once in its layer; a class name exists once."""
    files, classes = defaultdict[tuple[str, str], list[str]](list), defaultdict[str, list[str]](list)
    for module in MODULES:
        if module.name != "__init__.py":
            files[layer(module), module.name].append(dotted(module))
        for node in nodes(module, ast.ClassDef):
            assert isinstance(node, ast.ClassDef)
            classes[node.name].append(dotted(module))
    gerunds = [m for m in NAMES if m.endswith("ing") and m.rpartition(".")[2] not in NOUNS]
    twice = [found for found in (*files.values(), *classes.values()) if len(found) > 1]
    assert ([], []) == (gerunds, twice)


def test_options_are_spelled_in_one_place() -> None:
    """Below cli only core/option.py knows how an option is typed: sentences and comments have its name."""
    spelled_out = re.compile(r"--[A-Za-z]")
    allowed = {
        "core/option.py",
        "output/desktop.py",  # runs other programs, with their options
    }
    found = [
        f"{inside}:{number}: {line.strip()}"
        for module in MODULES
        if layer(module) in LAYERS - {"cli"} and (inside := str(module.relative_to(SOURCE))) not in allowed
        for number, line in enumerate(module.read_text(encoding="utf-8").splitlines(), start=1)
        if spelled_out.search(line)
    ]
    assert [] == found


def test_docstrings_begin_with_the_usual_verbs() -> None:
    """A docstring says Return and Format, as everybody's does."""
    found = [
        f"{dotted(module)}: {text.splitlines()[0]}"
        for module in MODULES
        for node in nodes(module, ast.FunctionDef, ast.ClassDef)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node))
        if text.split()[0] in NO_VERBS
    ]
    assert [] == found


def test_values_and_patterns_are_built_late() -> None:
    """Dataclasses without slots, and patterns, are those of ours, built when they are first used."""
    top_level = re.compile(r"^ {0,4}[A-Z_]+(?:: .*)? = re\.compile\(", re.MULTILINE)
    for module in (one for one in MODULES if layer(one) not in {"demo", ""}):
        text = module.read_text(encoding="utf-8")
        has_slots = "@dataclass(frozen=True, slots=True)" in text
        assert has_slots or "dataclasses.dataclass" not in imported(module), module
        assert not top_level.search(text), module
