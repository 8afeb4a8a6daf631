from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

import pytest

from imgcli.app.process import Interrupted
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Completed, Event, Failed, FinalImage, Notice, PartialImage, Saved, Started
from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.core.params import Api, KeepPartials
from imgcli.core.request import ImageRequest
from imgcli.store.paths import FallbackFolders
from imgcli.store.publish.atomic import OnExists
from imgcli.store.publish.naming import NameFields
from imgcli.store.publish.publisher import Destination, Publisher, open_publisher
from imgcli.store.publish.stage import SavingStage
from streams import BLUE, GREEN, RED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

JOB = "job-7"
SUBJECT = NameFields("a cat", "gpt-4o-mini", JOB, datetime(2027, 1, 14))  # noqa: DTZ001 - names carry local time
REQUEST = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES)
STARTED = Started(JOB, REQUEST)
PARTIAL = PartialImage(JOB, 0, 0, EncodedImage.of(BLUE))
SECOND = PartialImage(JOB, 0, 1, EncodedImage.of(GREEN))
FINAL = FinalImage(JOB, 0, EncodedImage.of(RED))
END = Completed(JOB, "gpt-4o-mini")
FAULT = Failed(JOB, Problem(ExitCode.UNKNOWN, "cut", Charged.MAYBE))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Make the user's folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def rescue(tmp_path: Path) -> FallbackFolders:
    """Make places for images that have none."""
    return FallbackFolders(tmp_path / "state", {"TMPDIR": str(tmp_path / "missing")})


@pytest.fixture
def opened(here: Path, rescue: FallbackFolders) -> Callable[..., Publisher]:
    """Open a publisher for `-o OUTPUT` in the folder `here`."""

    def open_one(output: str | None = None, stdout: BytesIO | None = None, **policy: OnExists) -> Publisher:
        return open_publisher(Destination(output, here, **policy), SUBJECT, rescue, stdout or BytesIO())

    return open_one


def files(folder: Path) -> dict[str, bytes]:
    """List what is in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def notices(events: list[Event]) -> list[str]:
    """List what was said."""
    return [event.text for event in events if isinstance(event, Notice)]


def only_saved(events: list[Event]) -> Saved:
    """Give the one file that was saved."""
    (saved,) = [event for event in events if isinstance(event, Saved)]
    return saved


def problem(events: list[Event]) -> Problem:
    """Give what was wrong with it."""
    found = only_saved(events).problem
    assert found
    return found


def test_shown_after_it_is_saved(opened: Callable[..., Publisher], here: Path) -> None:
    """By the time an image is shown it is on disk, byte for byte, and its path follows."""
    for event in SavingStage(opened())([STARTED, PARTIAL, FINAL]):
        if event is FINAL:
            assert {"a-cat.png": RED} == files(here)
    events = list(SavingStage(opened("b.png"))([STARTED, PARTIAL, FINAL, END]))
    assert [STARTED, PARTIAL, FINAL, Saved(JOB, 0, here / "b.png"), END] == events


def test_answer_is_read_while_an_image_is_saved(opened: Callable[..., Publisher], here: Path) -> None:
    """Among many jobs, the rest of an answer is read while its image is saved, and shown after that."""
    is_read = threading.Event()

    class Slow:
        """A publisher whose disk waits for the answer to be read."""

        def publish(self, *args: Any) -> Any:
            assert is_read.wait(20)
            return opened("x.png").publish(*args)

    def answer() -> Iterator[Event]:
        yield from (STARTED, PARTIAL, FINAL)
        is_read.set()
        yield END

    with ThreadPoolExecutor(1) as workers:
        events = list(SavingStage(cast("Publisher", Slow()), workers=workers)(answer()))
    assert [STARTED, PARTIAL, FINAL, Saved(JOB, 0, here / "x.png"), END] == events


def test_saved_before_a_signal_ends_the_answer(opened: Callable[..., Publisher], here: Path) -> None:
    """A signal that ends an answer while its image is being saved comes after the image."""

    def answer() -> Iterator[Event]:
        yield FINAL
        raise Interrupted(signal.SIGTERM)

    seen: list[Event] = []
    with ThreadPoolExecutor(1) as workers, pytest.raises(Interrupted):
        seen.extend(SavingStage(opened("x.png"), workers=workers)(answer()))
    assert {"x.png": RED} == files(here)
    assert [FINAL, Saved(JOB, 0, here / "x.png")] == seen


def test_nothing_is_overwritten(opened: Callable[..., Publisher], here: Path) -> None:
    """A taken name is kept, and the new one is told in a sentence."""
    (here / "x.png").write_bytes(b"precious")
    events = list(SavingStage(opened("x.png"))([FINAL, END]))
    assert {"x.png": b"precious", "x-2.png": RED} == files(here)
    assert ["x.png already exists; the new image is x-2.png."] == notices(events)


def test_force(opened: Callable[..., Publisher], here: Path) -> None:
    """--force replaces the image of that name, and there is nothing to say about it."""
    (here / "x.png").write_bytes(b"old")
    events = list(SavingStage(opened("x.png", on_exists=OnExists.REPLACE))([FINAL, END]))
    assert ({"x.png": RED}, []) == (files(here), notices(events))


def test_several_images(opened: Callable[..., Publisher], here: Path) -> None:
    """Each image of a job has a file of its own, and nobody is told about clashes that are none."""
    second = FinalImage(JOB, 1, EncodedImage.of(GREEN))
    events = list(SavingStage(opened("x.png"))([FINAL, second, END]))
    assert ({"x.png": RED, "x-2.png": GREEN}, []) == (files(here), notices(events))


def test_another_format_than_asked(opened: Callable[..., Publisher], here: Path) -> None:
    """An image in another format than asked has an honest name, and a sentence says so once."""
    wanted = Started(JOB, ImageRequest("a cat", "m", Api.IMAGES, format=ImageFormat.WEBP))
    events = list(SavingStage(opened("x.webp"))([wanted, FINAL, END]))
    told = "The server sent png instead of webp; the file name says so."
    assert ({"x.png": RED}, [told]) == (files(here), notices(events))


def test_another_size_than_asked(opened: Callable[..., Publisher]) -> None:
    """An image of another size than asked is saved, and a sentence says so; `auto` asks for none."""
    for size, told in {
        "1024x1024": ["The image is 48x32 pixels; 1024x1024 was requested."],
        "48x32": [],
        "auto": [],
    }.items():
        started = Started(JOB, ImageRequest("a cat", "m", Api.IMAGES, size=size))
        assert told == notices(list(SavingStage(opened(f"{size}.png"))([started, FINAL, END])))


@pytest.mark.parametrize(
    ("data", "name"),
    [(RED[:-12], "x.damaged.png"), (b"<html>502</html>", "x.damaged.bin"), (b"", "x.damaged.bin")],
)
def test_damaged(opened: Callable[..., Publisher], here: Path, data: bytes, name: str) -> None:
    """Damaged bytes are kept beside, exit 11, and --force does not sacrifice a good image to them."""
    (here / "x.png").write_bytes(b"good")
    publisher = opened("x.png", on_exists=OnExists.REPLACE)
    events = list(SavingStage(publisher)([FinalImage(JOB, 0, EncodedImage.of(data)), END]))
    assert {"x.png": b"good", name: data} == files(here)
    assert (ExitCode.DAMAGED, Charged.YES) == (problem(events).exit_code, problem(events).charged)
    assert f"kept as {here / name}." in problem(events).what


def test_force_is_for_images_alone(
    opened: Callable[..., Publisher], here: Path, rescue: FallbackFolders
) -> None:
    """--force replaces neither damaged bytes nor rescued images: they may be all there is."""
    (here / "x.damaged.bin").write_bytes(b"earlier")
    publisher = opened("x.png", on_exists=OnExists.REPLACE)
    list(SavingStage(publisher)([FinalImage(JOB, 0, EncodedImage.of(b"later"))]))
    assert {"x.damaged.bin": b"earlier", "x-2.damaged.bin": b"later"} == files(here)
    here.rename(here.with_name("moved"))
    here.touch()
    for image in (FINAL, FinalImage(JOB, 0, EncodedImage.of(GREEN))):
        list(SavingStage(publisher)([image]))
    assert {"x.png": RED, "x-2.png": GREEN} == files(rescue.state / "rescued")


def test_the_raw_run_of_a_damaged_image_is_kept(here: Path, tmp_path: Path) -> None:
    """When an image came damaged, the record of the run stays and I am told where it is."""
    rescue = FallbackFolders(tmp_path, {}, lambda: tmp_path / "run.sse")
    publisher = open_publisher(Destination("x.png", here), SUBJECT, rescue, BytesIO())
    events = list(SavingStage(publisher)([FinalImage(JOB, 0, EncodedImage.of(b"")), END]))
    assert problem(events).advice.startswith(f"The run log is kept as {tmp_path}/run.sse;")


# When a disk fails after the money is spent


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file grow past `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_rescue(opened: Callable[..., Publisher], here: Path, tmp_path: Path) -> None:
    """A folder that became a file costs the place, not the image: exit 10 with its path, mine alone.

    The command that brings it home overwrites nothing.
    """
    publisher = opened("x.png")
    here.rmdir()
    here.touch()
    events = list(SavingStage(publisher)([FINAL, END]))
    path = tmp_path / "state/rescued/x.png"
    assert (path, RED, 0o600) == (
        only_saved(events).path,
        path.read_bytes(),
        stat.S_IMODE(path.stat().st_mode),
    )
    assert (ExitCode.ELSEWHERE, Charged.YES) == (problem(events).exit_code, problem(events).charged)
    assert f"({here}: Not a directory); it is safe in {path}." in problem(events).what
    _, colon, advised = problem(events).advice.partition("move it with: ")
    assert colon
    subprocess.run(["sh", "-c", advised], check=False, capture_output=True)
    assert (b"", RED) == (here.read_bytes(), path.read_bytes())
    here.unlink()
    here.mkdir()
    (here / "x.png").write_bytes(b"another")
    subprocess.run(["sh", "-c", advised], check=False, capture_output=True)
    assert (b"another", RED) == ((here / "x.png").read_bytes(), path.read_bytes())
    (here / "x.png").unlink()
    subprocess.run(["sh", "-c", advised], check=True)
    assert RED == (here / "x.png").read_bytes()


def test_a_folder_that_has_gone(opened: Callable[..., Publisher], here: Path) -> None:
    """A folder that somebody removed meanwhile is made again: the image is where it was meant to be."""
    publisher = opened("new/x.png")
    (here / "new").rmdir()
    here.rmdir()
    events = list(SavingStage(publisher)([FINAL, END]))
    assert (here / "new/x.png", None) == (only_saved(events).path, only_saved(events).problem)
    publisher.remove_empty_folders()
    assert {"x.png": RED} == files(here / "new")


def test_rescue_chain(here: Path, tmp_path: Path) -> None:
    """When the state folder cannot take an image either, the session's folder does."""
    (tmp_path / "state").touch()
    runtime = tmp_path / "run"
    runtime.mkdir()
    rescue = FallbackFolders(tmp_path / "state", {"XDG_RUNTIME_DIR": str(runtime), "TMPDIR": "/missing"})
    publisher = open_publisher(Destination(None, here), SUBJECT, rescue, BytesIO())
    here.rmdir()
    here.touch()
    assert runtime / "a-cat.png" == only_saved(list(SavingStage(publisher)([FINAL, END]))).path


def test_no_place_at_all(
    opened: Callable[..., Publisher], here: Path, rescue: FallbackFolders, tmp_path: Path
) -> None:
    """When every disk is full the run fails, and says that money was spent and where its record is."""
    with file_limit(10):
        *_, shown, lost = SavingStage(opened())([FINAL, END])
    assert isinstance(lost, Failed)
    assert (FINAL, ExitCode.UNKNOWN, Charged.YES) == (shown, lost.problem.exit_code, lost.problem.charged)
    recorded = FallbackFolders(rescue.state, rescue.environ, lambda: tmp_path / "run.sse")
    publisher = open_publisher(Destination(None, here), SUBJECT, recorded, BytesIO())
    with file_limit(10):
        *_, lost = SavingStage(publisher)([FINAL, END])
    assert isinstance(lost, Failed)
    assert (ExitCode.ELSEWHERE, True) == (lost.problem.exit_code, "run.sse" in lost.problem.advice)
    assert ({}, {}) == (files(here), files(rescue.state / "rescued"))


def test_failed_flush(opened: Callable[..., Publisher], here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed flush the bytes go into another file elsewhere, and no torn one stays behind."""
    flush, calls = os.fsync, iter([OSError(5, "Input/output error")])

    def failing(descriptor: int) -> None:
        for error in calls:
            raise error
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    events = list(SavingStage(opened())([FINAL, END]))
    assert (ExitCode.ELSEWHERE, {}) == (problem(events).exit_code, files(here))
    assert RED == only_saved(events).path.read_bytes()


def test_the_only_copy_stays(
    opened: Callable[..., Publisher], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no file can be given its name anywhere, the image keeps its temporary one, and I am told it."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    publisher = opened()
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    events = list(SavingStage(publisher)([FINAL, END]))
    path = only_saved(events).path
    assert (ExitCode.ELSEWHERE, here, RED) == (problem(events).exit_code, path.parent, path.read_bytes())


TINY = """
    import os, sys
    from datetime import datetime
    from io import BytesIO
    from pathlib import Path
    from imgcli.core.events import FinalImage, Saved
    from imgcli.core.image import EncodedImage
    from imgcli.store.paths import FallbackFolders
    from imgcli.store.publish.naming import NameFields
    from imgcli.store.publish.publisher import Destination, open_publisher
    from imgcli.store.publish.stage import SavingStage
    here, state = map(Path, sys.argv[1:])
    rescue = FallbackFolders(state, {"TMPDIR": "/missing"})
    subject = NameFields("a cat", "m", "j", datetime.now())
    publisher = open_publisher(Destination(None, here), subject, rescue, BytesIO())
    final = FinalImage("j", 0, EncodedImage.of(bytes.fromhex(sys.stdin.read())))
    (saved,) = [event for event in SavingStage(publisher)([final]) if isinstance(event, Saved)]
    print(saved.path, saved.problem.exit_code, *os.listdir(here))
"""


def test_full_file_system(here: Path, tmp_path: Path) -> None:
    """An image that does not fit on its file system is saved whole on another; the full one stays clean."""
    mounted = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=64k none "$0" && exec "$@"', str(here)]
    if subprocess.run([*mounted, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no unprivileged mounts here")
    data = RED[:-12] + bytes(100_000) + RED[-12:]  # damaged, which does not matter for its saving
    script = [sys.executable, "-c", textwrap.dedent(TINY), str(here), str(tmp_path / "state")]
    done = subprocess.run([*mounted, *script], input=data.hex(), capture_output=True, text=True, check=True)
    path = tmp_path / "state/rescued/a-cat.damaged.png"
    assert (f"{path} 11\n", data) == (done.stdout, path.read_bytes())


# Standard output and devices


class Broken(BytesIO):
    """A pipe whose reader has gone after ten bytes."""

    def write(self, _: object) -> int:
        """Break."""
        raise BrokenPipeError(32, "Broken pipe")


def test_standard_output(opened: Callable[..., Publisher], here: Path, rescue: FallbackFolders) -> None:
    """`-o -` writes the image's bytes and nothing else, anywhere."""
    out = BytesIO()
    assert [PARTIAL, FINAL, END] == list(SavingStage(opened("-", out))([PARTIAL, FINAL, END]))
    assert (RED, {}, {}) == (out.getvalue(), files(here), files(rescue.state / "rescued"))


def test_broken_standard_output(opened: Callable[..., Publisher], rescue: FallbackFolders) -> None:
    """A reader that goes away costs the stream, not the image: exit 10 with its path."""
    events = list(SavingStage(opened("-", Broken()))([FINAL, END]))
    assert ({"a-cat.png": RED}, ExitCode.ELSEWHERE) == (
        files(rescue.state / "rescued"),
        problem(events).exit_code,
    )
    assert "(standard output: Broken pipe)" in problem(events).what


def test_damaged_on_standard_output(opened: Callable[..., Publisher], rescue: FallbackFolders) -> None:
    """Damaged bytes go to standard output all the same, are kept in a file too, and exit 11."""
    out = BytesIO()
    events = list(SavingStage(opened("-", out))([FinalImage(JOB, 0, EncodedImage.of(RED[:-9])), END]))
    assert (RED[:-9], ExitCode.DAMAGED) == (out.getvalue(), problem(events).exit_code)
    assert {"a-cat.damaged.png": RED[:-9]} == files(rescue.state / "rescued")


@pytest.mark.parametrize(("output", "code"), [("/dev/null", None), ("/dev/full", ExitCode.ELSEWHERE)])
def test_devices(opened: Callable[..., Publisher], output: str, code: ExitCode | None) -> None:
    """A device is written to, never replaced by a file; one that is full costs the place, not the image."""
    saved = only_saved(list(SavingStage(opened(output))([FINAL, END])))
    assert code == (saved.problem.exit_code if saved.problem else None)
    assert stat.S_ISCHR(os.stat(output).st_mode)  # noqa: PTH116 - a device, not a path of ours


def test_a_folder_that_cannot_be_made_is_found_out_before_sending(
    opened: Callable[..., Publisher], here: Path
) -> None:
    """Opening the publisher fails before there is anything to save."""
    (here / "file").touch()
    with pytest.raises(ImgcliError) as caught:
        opened("file/x.png")
    assert ExitCode.UNWRITABLE == caught.value.problem.exit_code


# Previews


def test_last_preview_of_a_failed_run(opened: Callable[..., Publisher], here: Path) -> None:
    """A run that fails leaves its last preview, and says so before the failure."""
    events = list(SavingStage(opened())([STARTED, PARTIAL, SECOND, FAULT]))
    assert {"a-cat.partial.png": GREEN} == files(here)
    told = Notice(JOB, f"The last preview, a rougher image, is kept as {here}/a-cat.partial.png.")
    assert [told, FAULT] == events[-2:]


def test_last_preview_of_an_interrupted_run(opened: Callable[..., Publisher], here: Path) -> None:
    """An interrupted run leaves its last preview, once, however often it is asked to."""
    saving = SavingStage(opened())
    stage = saving([PARTIAL, SECOND, FINAL])
    next(stage)
    assert [here / "a-cat.partial.png"] * 2 == [saving.keep_last_partial(), saving.keep_last_partial()]
    assert {"a-cat.partial.png": BLUE} == files(here)


def test_no_preview_of_a_good_run(opened: Callable[..., Publisher], here: Path) -> None:
    """Once the image is there, no preview of it is kept."""
    saving = SavingStage(opened())
    list(saving([PARTIAL, FINAL, FAULT]))
    assert (None, {"a-cat.png": RED}) == (saving.keep_last_partial(), files(here))


def test_every_preview(opened: Callable[..., Publisher], here: Path) -> None:
    """--keep-partials keeps each of them, numbered, and a failure adds none."""
    events = list(SavingStage(opened(), keep=KeepPartials.ALL)([PARTIAL, SECOND, FAULT]))
    assert {"a-cat.partial-0.png": BLUE, "a-cat.partial-1.png": GREEN} == files(here)
    assert ["The last preview, a rougher image, is kept as " + f"{here}/a-cat.partial-1.png."] == notices(
        events
    )


def test_previews_are_no_reason_to_fail(opened: Callable[..., Publisher], here: Path) -> None:
    """A preview that can be kept nowhere costs a sentence; the run goes on."""
    saving = SavingStage(opened(), keep=KeepPartials.ALL)
    with file_limit(10):
        events = list(saving([PARTIAL, FAULT]))
    assert [PARTIAL, True, FAULT] == [
        events[0],
        notices(events)[0].startswith("The preview could"),
        events[-1],
    ]
    assert {} == files(here)


def test_preview_beside_standard_output(opened: Callable[..., Publisher], rescue: FallbackFolders) -> None:
    """With `-o -` the last preview of a failed run becomes a file; the stream stays clean."""
    out = BytesIO()
    list(SavingStage(opened("-", out))([PARTIAL, FAULT]))
    assert (b"", {"a-cat.partial.png": BLUE}) == (out.getvalue(), files(rescue.state / "rescued"))


# Signals


def test_shield(opened: Callable[..., Publisher], here: Path) -> None:
    """A signal that comes while an image is being saved waits until it is safe."""
    seen: list[list[str]] = []

    @contextmanager
    def shield() -> Iterator[None]:
        seen.append(sorted(files(here)))
        yield
        seen.append(sorted(files(here)))

    list(SavingStage(opened("x.png"), shield)([PARTIAL, FINAL, END]))
    assert [[], ["x.png"]] == seen


def test_a_slow_reader_does_not_hold_off_signals(opened: Callable[..., Publisher]) -> None:
    """Writing to a pipe is not shielded: a reader that sleeps must not make Ctrl-C useless."""

    @contextmanager
    def shield() -> Iterator[None]:
        pytest.fail("shielded")
        yield

    list(SavingStage(opened("-"), shield)([FINAL, END]))
