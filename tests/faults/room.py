"""The place where a scenario's client runs: its folders, what lies there before, what lies there after."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from faults.images import image
from substitutes import PACE
from zygote import MEASURING

CANARY_KEY = "sk-canary-0123456789abcdef"
CANARY_PASSWORD = "canary-password-42"
IMAGES = {".png", ".jpg", ".webp", ".gif", ".svg"}
_MOST = 20_000_000

Tree: TypeAlias = "dict[str, Entry]"


@dataclass(frozen=True)
class Entry:
    """One file: its bytes (the beginning of a huge one), or where a symbolic link leads."""

    data: bytes
    link: str | None = None
    mode: int = 0

    @property
    def content(self) -> tuple[bytes, str | None]:
        """What must not change."""
        return self.data, self.link


@dataclass(frozen=True)
class Room:
    """A home, a current folder, a temporary folder; `root` is where they can be seen from outside."""

    root: Path
    inside: Path

    @classmethod
    def furnish(cls, root: Path, files: dict[str, str]) -> Room:
        """Make the folders, and what a scenario wants to lie there."""
        for name in ("home", "here", "tmp"):
            (root / name).mkdir(parents=True, exist_ok=True)
        room = cls(root, root)
        for name, content in files.items():
            room.put(name, content)
        return room

    def put(self, name: str, content: str) -> None:
        """Make `folder/`, `-> link`, `mode 500` for a folder, or a file that holds an image or a text."""
        path = self.root / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
            if content.startswith("mode "):
                path.chmod(int(content.removeprefix("mode "), 8))
        elif content.startswith("-> "):
            path.symlink_to(content.removeprefix("-> "))
        elif content == "fifo":
            os.mkfifo(path)
        else:
            path.write_bytes(image(content) if content.isupper() else content.encode())

    @property
    def env(self) -> dict[str, str]:
        """An environment that holds nothing of the machine's, and a canary wherever a secret may be.

        The proxies do not exist: a request to loopback that goes to one of them fails.
        """
        proxy = f"http://canary:{CANARY_PASSWORD}@127.0.0.1:9"
        home = self.inside / "home"
        return {
            **MEASURING,
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "TMPDIR": str(self.inside / "tmp"),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "default",
            PACE: "0",
            "OPENAI_API_KEY": CANARY_KEY,
            "HTTP_PROXY": proxy,
            "HTTPS_PROXY": proxy,
        }

    def look(self) -> Tree:
        """Read everything that lies here."""
        found: Tree = {}
        for folder, names, files in os.walk(self.root):
            links = [name for name in names if (Path(folder) / name).is_symlink()]
            for name in (*files, *links):
                path = Path(folder) / name
                found[str(path.relative_to(self.root))] = _entry(path)
        return found


def _entry(path: Path) -> Entry:
    if path.is_symlink():
        return Entry(b"", str(path.readlink()))
    if not path.is_file():
        return Entry(b"")
    with path.open("rb") as file:
        return Entry(file.read(_MOST), mode=path.stat().st_mode & 0o777)


def is_image(name: str) -> bool:
    """Tell whether a file claims to be somebody's finished image."""
    path = Path(name)
    return (
        path.suffix in IMAGES
        and not {".partial", ".damaged", ".torn"} & set(path.suffixes)
        and not is_rough(name)
    )


def is_rough(name: str) -> bool:
    """Tell whether a file says of itself that it is a preview."""
    return ".partial" in Path(name).name


def is_temporary(name: str) -> bool:
    """Tell whether a file is one that nobody should ever find."""
    return Path(name).suffix in (".part", ".tmp")
