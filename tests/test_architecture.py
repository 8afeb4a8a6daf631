"""The house: who may import whom, what is loaded when, how large a room may get."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "imgcli"
ROOMS = {"cli", "api", "store", "show", "standin", "core"}
MAY_IMPORT = {
    "cli": ROOMS - {"cli"},
    "api": {"core"},
    "store": {"core"},
    "show": {"core"},
    "standin": set[str](),
    "core": set[str](),
}
ONLY_IN = {
    "openai": {"api/client.py", "api/sdk.py"},
    "httpx2": {"api/client.py", "api/connection.py"},
    "typer": {"cli/"},
    "rich": {"show/"},
    "rich_pixels": {"show/"},
    "PIL": {"show/", "store/", "standin/"},
    "platformdirs": {"store/"},
    "tomlkit": {"cli/config_set.py"},
}
MODULES = sorted(SOURCE.rglob("*.py"))


def imported(module: Path) -> set[str]:
    """List the dotted names that a module imports anywhere in its text, also only for types."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(module: Path) -> str:
    """Name the room that a module lives in; empty for the two at the top."""
    inside = module.relative_to(SOURCE).parts
    return inside[0] if len(inside) > 1 else ""


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(module: Path) -> None:
    """Cli uses api, store, show and standin; those use core alone, and never each other."""
    allowed = MAY_IMPORT.get(room(module), {"cli"}) | {room(module)}
    reached = {name.split(".")[1] for name in imported(module) if name.startswith("imgcli.")}
    assert set() == (reached & ROOMS) - allowed


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_library_has_its_room(module: Path) -> None:
    """Each library is known in one room only: openai in two files, Typer in cli, rich in show."""
    inside = str(module.relative_to(SOURCE))
    roots = {name.partition(".")[0] for name in imported(module)}
    strangers = {
        library
        for library, places in ONLY_IN.items()
        if library in roots and not inside.startswith(tuple(places))
    }
    assert set() == strangers


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "core"], ids=lambda path: path.name)
def test_core_is_pure(module: Path) -> None:
    """Core needs the standard library alone, and none of its doors to the world."""
    roots = {name.partition(".")[0] for name in imported(module)}
    doors = {"os", "sys", "time", "socket", "subprocess", "threading", "io", "shutil", "tempfile"}
    assert set() == roots & doors
    assert set() == roots - set(sys.stdlib_module_names) - {"imgcli"}


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["gen", "--help"]], ids=" ".join)
def test_help_is_light(args: list[str]) -> None:
    """Help and version load none of the heavy packages, so that they come at once."""
    code = (
        "import sys, os\n"
        f"sys.argv = ['imgcli', *{args!r}]\n"
        "os._exit = lambda code: (print(*sorted(sys.modules), file=sys.stderr), sys.exit(code))\n"
        "from imgcli.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert set() == loaded & {"openai", "httpx2", "PIL", "rich", "rich_pixels"}


def functions(module: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """List every function of a module, methods included."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_room_outgrows_itself() -> None:
    """No module is longer than 300 lines, and no function but one longer than 50."""
    long_modules = [str(m) for m in MODULES if m.read_text(encoding="utf-8").count("\n") > 300]
    long_functions = [
        f"{module.name}:{function.name}"
        for module in MODULES
        for function in functions(module)
        if (function.end_lineno or 0) - function.lineno + 1 > 50
        and function.name != "deliver"  # its signature declares the options
    ]
    assert ([], []) == (long_modules, long_functions)
