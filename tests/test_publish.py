from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beside import PATIENCE
from imgcli.core.errors import ExitCode, ImgcliError
from imgcli.store.paths import FallbackFolders, private_folder, state_folder
from imgcli.store.publish.atomic import OnExists, TempFile, write_device, write_stream
from imgcli.store.publish.naming import NameFields, OutputTarget, check_writable, current_folder, find_device

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ["x.png", "x-2.png", "x-3.png"]


def publish(folder: Path, data: bytes = b"new", clash: OnExists = OnExists.NUMBER) -> Path:
    """Write, flush and name a file."""
    draft = TempFile.write(folder, data)
    draft.flush()
    return draft.publish(NAMES, clash)


def files(folder: Path) -> dict[str, bytes]:
    """List what is in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file grow past `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_publishing(tmp_path: Path) -> None:
    """The folder holds the image and nothing else."""
    assert tmp_path / "x.png" == publish(tmp_path)
    assert {"x.png": b"new"} == files(tmp_path)


def test_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after publishing takes neither the bytes nor the name: both are flushed, in that order."""
    flushed: list[tuple[bool, list[str]]] = []

    def record(descriptor: int) -> None:
        flushed.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), list(files(tmp_path))))

    monkeypatch.setattr(os, "fsync", record)
    publish(tmp_path)
    (bytes_first, (unnamed,)), (folder_then, named) = flushed
    assert (False, False, True, ["x.png"]) == (bytes_first, unnamed == "x.png", folder_then, named)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that is there stays as it is; the new one gets the next number."""
    (tmp_path / "x.png").write_bytes(b"precious")
    assert tmp_path / "x-2.png" == publish(tmp_path)
    assert {"x.png": b"precious", "x-2.png": b"new"} == files(tmp_path)


def test_force_replaces(tmp_path: Path) -> None:
    """--force replaces the file of that name."""
    (tmp_path / "x.png").write_bytes(b"old")
    assert tmp_path / "x.png" == publish(tmp_path, clash=OnExists.REPLACE)
    assert {"x.png": b"new"} == files(tmp_path)


def test_force_replaces_at_once(tmp_path: Path) -> None:
    """Whoever opened the old file still reads the old image, whole, after --force."""
    (tmp_path / "x.png").write_bytes(b"old")
    with (tmp_path / "x.png").open("rb") as reader:
        publish(tmp_path, clash=OnExists.REPLACE)
        assert b"old" == reader.read()


@pytest.mark.parametrize("clash", OnExists)
@pytest.mark.parametrize("precious", ["precious.txt", "nowhere.txt"])
def test_symbolic_links_are_not_followed(tmp_path: Path, clash: OnExists, precious: str) -> None:
    """A link in the way leads nobody to write into what it points at, be it there or not."""
    folder = tmp_path / "here"
    folder.mkdir()
    (tmp_path / "precious.txt").write_bytes(b"precious")
    (folder / "x.png").symlink_to(tmp_path / precious)
    final = publish(folder, clash=clash)
    assert (b"new", False) == (final.read_bytes(), final.is_symlink())
    assert {"precious.txt": b"precious"} == {
        p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()
    }


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_modes(tmp_path: Path, umask: int, mode: int) -> None:
    """An image is readable to whom my umask says."""
    before = os.umask(umask)
    try:
        final = publish(tmp_path)
    finally:
        os.umask(before)
    assert mode == stat.S_IMODE(final.stat().st_mode)


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV])
def test_without_hard_links(tmp_path: Path, error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links makes no difference: nothing is overwritten, nothing is left over."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "x.png").write_bytes(b"precious")
    assert tmp_path / "x-2.png" == publish(tmp_path)
    assert {"x.png": b"precious", "x-2.png": b"new"} == files(tmp_path)


def test_a_failed_rename_leaves_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a name can be neither linked nor renamed, the bytes are still there and no empty file is."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "broken")

    draft = TempFile.write(tmp_path, b"new")
    draft.flush()
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="broken"):
        draft.publish(NAMES)
    assert {draft.place.name: b"new"} == files(tmp_path)


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """What could not be written in full does not stay behind."""
    with file_limit(1000), pytest.raises(OSError, match="large"):
        TempFile.write(tmp_path, bytes(2000))
    assert {} == files(tmp_path)


RACER = """
    import sys
    from pathlib import Path
    from imgcli.store.publish.atomic import TempFile
    sys.stdin.read()
    draft = TempFile.write(Path(sys.argv[1]), sys.argv[2].encode() * 9999)
    draft.flush()
    names = ("x.png" if n == 1 else f"x-{n}.png" for n in range(1, 99))
    print(draft.publish(names))
"""


@pytest.mark.slow
def test_race(tmp_path: Path) -> None:
    """Twenty-four processes that want one name make twenty-four whole files."""
    command = [sys.executable, "-c", textwrap.dedent(RACER), str(tmp_path)]
    start, go = os.pipe()
    racers = [
        subprocess.Popen([*command, chr(65 + i)], stdin=start, stdout=subprocess.PIPE, text=True)
        for i in range(24)
    ]
    os.close(start)
    os.close(go)  # every racer sees the end of its input at once
    told = {racer.communicate(timeout=PATIENCE)[0].strip() for racer in racers}
    assert {str(path) for path in tmp_path.iterdir()} == told
    assert [(chr(65 + i) * 9999).encode() for i in range(24)] == sorted(files(tmp_path).values())


def test_device_and_stream() -> None:
    """A device or stream gets every byte, and says when it does not."""
    out = BytesIO()
    write_stream(out, b"bytes")
    null = Path(os.devnull)
    write_device(null, null.stat(), b"bytes")
    assert b"bytes" == out.getvalue()
    with pytest.raises(OSError, match="space"):
        write_device(Path("/dev/full"), Path("/dev/full").stat(), b"bytes")


# Found out before sending


def target(output: str | None, base: Path) -> OutputTarget:
    """Name a cat's image."""
    now = datetime(2027, 1, 14)  # noqa: DTZ001 - names carry local time
    return OutputTarget.of(output, NameFields("a cat", "m", "j", now), base)


def refusal(output: str | None, base: Path) -> tuple[ExitCode, str, str]:
    """Tell how a target is turned down."""
    with pytest.raises(ImgcliError) as caught:
        check_writable(target(output, base))
    problem = caught.value.problem
    return problem.exit_code, problem.what, problem.advice


def test_a_good_target_leaves_no_trace(tmp_path: Path) -> None:
    """Trying a folder out leaves nothing in it."""
    check_writable(target(None, tmp_path))
    assert {} == files(tmp_path)


@pytest.mark.parametrize("output", ["new/dir/", "new/dir/x.png", "new/dir/../dir/"])
def test_missing_folder(tmp_path: Path, output: str) -> None:
    """A missing folder is made with its parents, for whom the umask says."""
    before = os.umask(0o027)
    try:
        made = check_writable(target(output, tmp_path))
    finally:
        os.umask(before)
    assert [tmp_path / "new", tmp_path / "new/dir"] == made
    assert {0o750} == {stat.S_IMODE(folder.stat().st_mode) for folder in made}
    assert [] == list((tmp_path / "new/dir").iterdir())


@pytest.mark.parametrize("output", ["x/new/", "new/deep/" + "n" * 300 + "/", f"new/{'n' * 253}.png"])
def test_folder_that_cannot_be_used(tmp_path: Path, output: str) -> None:
    """A folder that cannot be made or used is found out before anything is sent, and leaves none behind."""
    (tmp_path / "x").touch()
    assert ExitCode.UNWRITABLE == refusal(output, tmp_path)[0]
    assert ["x"] == [path.name for path in tmp_path.iterdir()]


def test_file_for_a_folder(tmp_path: Path) -> None:
    """A file where a folder should be is found out before anything is sent."""
    (tmp_path / "x").touch()
    code, what, _ = refusal("x/y.png", tmp_path)
    assert (ExitCode.UNWRITABLE, f"{tmp_path}/x is a file, not a folder.") == (code, what)


def test_folder_without_room_for_files() -> None:
    """A folder that takes no file is found out before anything is sent, also for root."""
    code, what, _ = refusal("x.png", Path("/proc/self"))
    assert [ExitCode.UNWRITABLE, True] == [code, what.startswith("Cannot write to /proc/self (")]


def test_name_too_long(tmp_path: Path) -> None:
    """A name that the file system cannot hold is found out before anything is sent."""
    code, what, _ = refusal("x" * 253 + ".png", tmp_path)
    assert (ExitCode.UNWRITABLE, True) == (code, "The name is too long" in what)
    check_writable(target("x" * 251 + ".png", tmp_path))


def test_deleted_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder that somebody deleted is found out before anything is sent."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ImgcliError) as caught:
        current_folder()
    assert ExitCode.UNWRITABLE == caught.value.problem.exit_code


def test_devices(tmp_path: Path) -> None:
    """Devices and pipes are told from files and folders; a file that is not there yet is a file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    outputs = ["/dev/null", "pipe", "file", ".", "new.png", "a\0b", None]
    expected = [Path("/dev/null"), tmp_path / "pipe", None, None, None, None, None]
    found = [find_device(output, tmp_path) for output in outputs]
    assert expected == [one and one[0] for one in found]


def test_open_files_of_this_process(tmp_path: Path) -> None:
    """-o /dev/stdout would overwrite a redirected file from its start, so that it is turned down."""
    with (tmp_path / "log").open("wb") as log, pytest.raises(ImgcliError) as caught:
        find_device(f"/dev/fd/{log.fileno()}", tmp_path)
    assert "Use `-o -` for standard output." == caught.value.problem.advice


# Folders of our own


def test_state_folder_is_private(tmp_path: Path) -> None:
    """Records of my runs are in the usual folder, and nobody else can look into it."""
    home = state_folder({"HOME": str(tmp_path / "home")})
    chosen = state_folder({"HOME": "/nowhere", "XDG_STATE_HOME": str(tmp_path / "state")})
    assert [tmp_path / "home/.local/state/imgcli", tmp_path / "state/imgcli"] == [home, chosen]
    assert {0o700} == {stat.S_IMODE(folder.stat().st_mode) for folder in (home, chosen)}


def test_state_folder_without_home(tmp_path: Path) -> None:
    """Without HOME, or with one that cannot be used, the session's folder serves, then the temporary one."""
    (tmp_path / "file").touch()
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_STATE_HOME": "relative"}
    broken = {"HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path)}
    expected = [tmp_path / "run/imgcli", tmp_path / f"imgcli-{os.getuid()}"]
    assert expected == [state_folder(runtime), state_folder(broken)]


def test_wide_open_state_folder_is_closed(tmp_path: Path) -> None:
    """A folder of records that others could read is closed to them."""
    (tmp_path / "imgcli").mkdir(mode=0o755)
    assert 0o700 == stat.S_IMODE(private_folder(tmp_path / "imgcli").stat().st_mode)


def test_a_link_to_another_folder_changes_nothing_there(tmp_path: Path) -> None:
    """A link to a folder for other things is not used, and that folder stays as open as it was."""
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "private").mkdir(mode=0o700)
    for name in ("open", "private"):
        (tmp_path / "state" / name).mkdir(parents=True)
        (tmp_path / "state" / name / "imgcli").symlink_to(tmp_path / name)
    chosen = [
        state_folder({"XDG_STATE_HOME": str(tmp_path / "state" / name), "TMPDIR": str(tmp_path)})
        for name in ("open", "private")
    ]
    assert [tmp_path / f"imgcli-{os.getuid()}", tmp_path / "state/private/imgcli"] == chosen
    assert (0o755, []) == (stat.S_IMODE((tmp_path / "open").stat().st_mode), [*(tmp_path / "open").iterdir()])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_planted_state_folder_is_refused(tmp_path: Path) -> None:
    """A folder that somebody else made for us is not used, nor a link to one."""
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    (tmp_path / "link").symlink_to("theirs")
    for name in ("theirs", "link"):
        with pytest.raises(PermissionError):
            private_folder(tmp_path / name)


def test_rescue_folders(tmp_path: Path) -> None:
    """An image without a place goes to the state folder, then the session's, then the temporary one."""
    rescue = FallbackFolders(tmp_path / "state", {"XDG_RUNTIME_DIR": "/run/user/1", "TMPDIR": "/var/tmp"})  # noqa: S108
    expected = [tmp_path / "state/rescued", Path("/run/user/1"), Path("/var/tmp")]  # noqa: S108
    assert expected == list(rescue.folders())
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").touch()
    assert expected[1:] == list(rescue.folders())
