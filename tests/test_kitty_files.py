"""Images for a terminal on this machine: it is told where they are, and nothing of them stays."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imgcli.core.image import EncodedImage
from imgcli.output.images.kitty import ImageFiles, KittyRenderer
from imgcli.output.images.protocol import Box
from imgcli.output.terminal.screen import Screen
from streams import RED
from terminal import PtyRun

KITTY = {"TERM": "xterm-kitty"}
_FILES = re.compile(rb"\x1b_G(?:i=4212,[^;]*a=q|a=T[^;]*),t=t[^;]*;([^\x1b]*)\x1b\\")
_SHOWN = re.compile(rb"\x1b_Ga=T[^;]*,t=t[^;]*;[^\x1b]*\x1b\\")


@dataclass
class LocalKitty(PtyRun):
    """A kitty that reads so many temporary files; what it has read is deleted."""

    reads: int = 99
    found: list[bytes] = field(default_factory=list)
    told: list[Path] = field(default_factory=list)

    def read(self, seconds: float = 0.1) -> bytes:
        """Take what was written, and read the files of which it tells."""
        data = super().read(seconds)
        self._look()
        return data

    def _show(self, data: bytes) -> None:
        self._look()
        is_read = len(self.found) > 0
        self.answers = b"".join(
            [
                b"\x1b_Gi=4211;OK\x1b\\",
                b"\x1b_Gi=4212;OK\x1b\\" if is_read else b"",
                b"\x1b[6;20;10t\x1b[?62;c",
            ]
        )
        super()._show(data)

    def _look(self) -> None:
        for encoded in _FILES.findall(self.raw)[len(self.told) :]:
            path = Path(base64.b64decode(encoded).decode())
            assert "tty-graphics-protocol" in path.name
            self.told.append(path)
            if len(self.found) < self.reads:
                assert 0o600 == path.stat().st_mode & 0o777
                self.found.append(path.read_bytes())
                path.unlink()


def view(world: dict[str, str], folder: Path, reads: int, **env: str) -> LocalKitty:
    """View an image on a kitty that reads so many files."""
    (folder / "a.png").write_bytes(RED)
    with LocalKitty(("view", "a.png"), world | KITTY | env, folder, reads=reads) as run:
        assert 0 == run.finish()
    assert not any(path.exists() for path in run.told)
    return run


def test_a_terminal_on_this_machine_is_told_where_the_image_is(world: dict[str, str], folder: Path) -> None:
    """It gets about a hundred bytes, reads the very file that was saved, and deletes the copy."""
    run = view(world, folder, 99)
    assert [bytes(3), RED] == run.found
    (sent,) = _SHOWN.findall(run.raw)
    assert len(sent) < 150
    assert b"t=d,i=" not in run.raw


def test_a_file_that_the_terminal_never_reads_is_deleted(world: dict[str, str], folder: Path) -> None:
    """A terminal that has read one file and no other leaves nothing of the user's in the temporary folder."""
    run = view(world, folder, 1)
    assert (1, 2) == (len(run.found), len(run.told))


def test_a_terminal_that_reads_no_files_gets_the_data(world: dict[str, str], folder: Path) -> None:
    """A terminal elsewhere, in a container's host for instance, shows the image nevertheless."""
    run = view(world, folder, 0)
    assert (0, 1) == (len(run.found), len(run.told))
    assert base64.b64encode(RED)[:64] in run.raw


@pytest.mark.parametrize("name", ["SSH_CONNECTION", "SSH_TTY", "TMUX"])
def test_files_are_not_offered_to_a_terminal_far_away(name: str, world: dict[str, str], folder: Path) -> None:
    """Over ssh and in tmux no file is written: the terminal's machine is another, or may be."""
    assert [] == view(world, folder, 99, **{name: "x"}).told


def test_an_image_that_moves_is_not_read_again() -> None:
    """Lines above an image move it: its file is gone by then, so what the terminal has is placed anew."""
    files, screen = ImageFiles(), Screen()
    frame = KittyRenderer((1, 2), files=files).render(EncodedImage.of(RED), Box(40, 12))
    first, second = screen.draw(frame, "", 80), screen.print_above(["saved"], 80)
    files.close(patience=0)
    (image,) = re.findall("a=T[^;]*,p=1,i=([0-9]+)", first)
    assert f"\x1b_Ga=p,q=2,p=1,i={image},c=" in second
    assert "a=T" not in second
