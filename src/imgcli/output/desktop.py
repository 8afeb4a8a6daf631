"""The desktop's own tools: image viewer, clipboard, notifications."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.core.image import ImageFormat
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = "IMGCLI_IMAGE"
"""The variable in which PowerShell finds the path, which is then not part of a script."""

_PATIENCE = 0.3  # seconds; a tool that fails does so at once
_KNOWN = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TMPDIR", "BROWSER", "DISPLAY"),
        *("XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "DESKTOP_SESSION", "SESSION_MANAGER"),
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "USERNAME", "APPDATA"),
        *("LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "TEMP", "TMP"),
    }
)
_KNOWN_STARTS = ("LC_", "XDG_", "WAYLAND_", "GNOME_", "KDE_", "GTK_", "QT_", "WSL")

_APPLE_TYPES = {
    ImageFormat.PNG: "«class PNGf»",
    ImageFormat.JPEG: "JPEG image",
    ImageFormat.GIF: "«class GIFf»",
}
_BITMAPS = frozenset({ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.GIF})
"""What .NET puts onto the Windows clipboard as pixels; anything else goes there as a file."""
_PIXELS = (
    "Add-Type -AssemblyName System.Windows.Forms, System.Drawing; "
    f"[Windows.Forms.Clipboard]::SetImage([Drawing.Image]::FromFile($env:{IMAGE}))"
)


class DesktopError(Exception):
    """A failure of the desktop; the message is a sentence."""


@dataclass(frozen=True)
class Tool:
    """A program to try; `reads` means that it takes the image on its standard input."""

    command: tuple[str, ...]
    reads: bool = False


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return what a desktop's program needs of an environment: no key of anybody's is in it."""
    return {
        name: value
        for name, value in env.items()
        if name.upper() in _KNOWN or name.upper().startswith(_KNOWN_STARTS)
    }


def open_image(path: Path, env: Mapping[str, str]) -> None:
    """Open an image in the desktop's viewer, and leave it alone; raises `DesktopError`."""
    if sys.platform == "win32":
        _start(path, env)
    else:
        _run(openers(str(path.absolute()), sys.platform), path, env, "the image was not opened")


def open_address(url: str, env: Mapping[str, str]) -> None:
    """Open a web address in the browser; raises `DesktopError`."""
    if sys.platform == "win32":
        _start(url, env)
    else:
        _run(openers(url, sys.platform), Path(), env, "the page was not opened")


def copy_image(path: Path, kind: ImageFormat, env: Mapping[str, str]) -> None:
    """Put an image onto the desktop's clipboard; raises `DesktopError`."""
    _run(copiers(str(path.absolute()), kind, env, sys.platform), path, env, "the image was not copied")


def notify(text: str, env: Mapping[str, str]) -> None:
    """Show a notification, which is never markup; raises `DesktopError`."""
    _run(notifiers(text, sys.platform), Path(), env, "no notification was shown")


def notifiers(text: str, platform: str) -> list[Tool]:
    """List the programs that show a notification, the best first."""
    if platform == "darwin":
        script = 'on run argv\ndisplay notification (item 1 of argv) with title "imgcli"\nend run'
        return [Tool(("osascript", "-e", script, text))]
    return [Tool(("notify-send", "--app-name=imgcli", "--", f"imgcli: {text}"))]  # a summary has no markup


def openers(path: str, platform: str) -> list[Tool]:
    """List the programs that open a file, the best first."""
    return [Tool(("open" if platform == "darwin" else "xdg-open", path))]


def copiers(path: str, kind: ImageFormat, env: Mapping[str, str], platform: str) -> list[Tool]:
    """List the programs that put an image onto the clipboard, the best first."""
    if platform == "darwin":
        file = "POSIX file (item 1 of argv)"
        content = f"read ({file}) as {_APPLE_TYPES[kind]}" if kind in _APPLE_TYPES else file
        script = f"on run argv\nset the clipboard to ({content})\nend run"
        return [Tool(("osascript", "-e", script, path))]
    if platform == "win32":
        script = _PIXELS if kind in _BITMAPS else f"Set-Clipboard -LiteralPath $env:{IMAGE}"
        return [Tool(("powershell", "-NoProfile", "-STA", "-Command", script))]
    media_type = "image/svg+xml" if kind is ImageFormat.SVG else f"image/{kind}"
    wayland = Tool(("wl-copy", "--type", media_type), reads=True)
    x11 = Tool(("xclip", "-selection", "clipboard", "-target", media_type), reads=True)
    return [wayland, x11] if env.get("WAYLAND_DISPLAY") else [x11]


def _run(tools: list[Tool], path: Path, env: Mapping[str, str], failed: str) -> None:
    """Start the first program that is installed; raises `DesktopError`."""
    for tool in tools:
        program = shutil.which(tool.command[0], path=env.get("PATH", os.defpath))
        if program:
            _start_program(tool, program, path, env, failed)
            return
    names = " nor ".join(tool.command[0] for tool in tools)
    is_missing = f"Neither {names} is installed" if len(tools) > 1 else f"{names} is not installed"
    raise DesktopError(f"{is_missing}, so {failed}.")


def _start_program(tool: Tool, program: str, path: Path, env: Mapping[str, str], failed: str) -> None:
    """Start a program in a session of its own; it is waited for only long enough to see it fail."""
    name, failed = tool.command[0], failed.capitalize()
    try:
        with open(path if tool.reads else os.devnull, "rb") as source:  # noqa: PTH123 - one call for both
            process = subprocess.Popen(
                [program, *tool.command[1:]],
                stdin=source,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(env) | {IMAGE: str(path.absolute())},
                start_new_session=True,
            )
    except OSError as error:
        raise DesktopError(f"{failed}: {name} cannot be started ({error.strerror}).") from None
    try:
        code = process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # it goes on without us; else Python would complain that nobody waits for it
    else:
        if code:
            raise DesktopError(f"{failed}: {name} failed (exit code {code}).")


def _start(path: Path | str, env: Mapping[str, str]) -> None:
    """Open a file as a double click does; what is started inherits the environment of this process."""
    if sys.platform == "win32":
        for name in set(os.environ) - set(environment(env)):
            del os.environ[name]
        try:
            os.startfile(path if isinstance(path, str) else path.absolute())  # noqa: S606 - the system chooses the viewer
        except OSError as error:
            raise DesktopError(f"It was not opened ({error.strerror}).") from None
