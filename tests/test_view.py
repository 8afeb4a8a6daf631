"""`imgcli view`: images, recorded runs, and streams that another program is still writing."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

import zygote
from imgcli.api.stream.jsonl import read_json_lines
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Completed, FinalImage, Notice, PartialImage
from imgcli.core.json_fields import parse_object
from imgcli.core.params import InlineImages
from imgcli.output.sinks.jsonl import JsonLinesSink
from memory import peak
from showing import BETTER, FINE, HOSTILE, ROUGH, WHOLE_RUN, FakeClock, failed, feed, price, saved
from streams import BLUE, GREEN, RED, b64, created, images_run, partial, record, stream, whole_run
from substitutes import PACE
from terminal import PtyRun
from test_kitty import BAD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Cli
    from imgcli.core.events import Event

TRUECOLOR = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def json_lines(*events: Event) -> bytes:
    """What `gen --jsonl` writes about a run."""
    out = io.StringIO()
    feed(JsonLinesSink(out, InlineImages.INLINE, price, FakeClock()), events)
    return out.getvalue().encode()


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """An image as a file's content."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain_answer(data: bytes) -> bytes:
    """The Images API's answer that is not streamed."""
    return json.dumps({"created": 1, "data": [{"b64_json": b64(data)}]}, indent=2).encode()


class TestImages:
    """Image files, where nobody looks: a line about each."""

    def test_each_is_described(self, imgcli: Cli, folder: Path) -> None:
        """Without a terminal every file gets one line: name, format, size; no escape codes."""
        (folder / "a.png").write_bytes(RED)
        jpeg = encoded(Image.new("RGB", (30, 20)), "JPEG")
        (folder / "b.jpg").write_bytes(jpeg)
        done = imgcli("view", "a.png", "b.jpg")
        assert (0, "") == (done.exit_code, done.stderr)
        assert f"a.png, png, 48x32, {len(RED)} bytes" == done.lines[0]
        assert f"b.jpg, jpeg, 30x20, {len(jpeg)} bytes" == done.lines[1]

    def test_content_counts_and_not_the_name(self, imgcli: Cli, folder: Path) -> None:
        """An image is an image and a run is a run, whatever their names say."""
        (folder / "notes.txt").write_bytes(RED)
        (folder / "cat.png").write_bytes(whole_run(GREEN))
        done = imgcli("view", "notes.txt", "cat.png", "--fast")
        assert 0 == done.exit_code
        assert ["notes.txt, png, 48x32", "cat.png, png, 48x32"] == [
            line.rpartition(",")[0] for line in done.lines
        ]

    def test_odd_images_are_images(self, imgcli: Cli, folder: Path) -> None:
        """CMYK, 16 bits, a palette with transparency, an animation, BMP, TIFF: all of them are shown."""
        palette = Image.new("P", (10, 10))
        palette.putpalette([255, 0, 0] * 256)
        frames = [Image.new("RGB", (10, 10), color) for color in ("red", "blue")]
        odd = {
            "cmyk.jpg": encoded(Image.new("CMYK", (10, 10)), "JPEG"),
            "deep.png": encoded(Image.new("I;16", (10, 10), 40_000)),
            "clear.png": encoded(palette, transparency=0),
            "moving.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
            "old.bmp": encoded(frames[0], "BMP"),
            "scan.tif": encoded(frames[0], "TIFF"),
            "new.webp": encoded(frames[0], "WEBP"),
        }
        for name, data in odd.items():
            (folder / name).write_bytes(data)
        done = imgcli("view", *odd)
        assert (0, "") == (done.exit_code, done.stderr)
        assert ["10x10"] * len(odd) == [line.split(", ")[-2] for line in done.lines]

    def test_a_broken_image_is_said_to_be_broken(self, imgcli: Cli, folder: Path) -> None:
        """A cut or damaged image gets exit code 11 and a sentence; the others are still shown."""
        (folder / "cut.png").write_bytes(BAD["cut"])
        (folder / "good.png").write_bytes(RED)
        done = imgcli("view", "cut.png", "good.png")
        assert (11, 1) == (done.exit_code, len(done.lines))
        assert "cut.png cannot be shown: the image is damaged or cut short." in done.stderr

    def test_what_cannot_be_shown_is_explained(self, imgcli: Cli, folder: Path) -> None:
        """Nothing that is no image for a terminal ends in a traceback or in silence."""
        told = {
            b"": "is empty",
            b"  \n": "is empty",
            b"root:x:0:0": "is neither an image nor a recorded run",
            BAD["huge"]: "megapixels (40000x1000)",
            b'<svg xmlns="http://www.w3.org/2000/svg"></svg>': "is an SVG drawing",
        }
        for number, data in enumerate(told):
            (folder / f"x{number}").write_bytes(data)
        done = imgcli("view", *(f"x{number}" for number in range(len(told))))
        assert (2, b"") == (done.exit_code, done.stdout)
        sentences = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(told) == len(sentences)
        for number, (meant, said) in enumerate(zip(told.values(), sentences, strict=True)):
            assert (f"x{number}", True) == (said.split()[1], meant in said)

    def test_unreadable_files_are_named(self, imgcli: Cli, folder: Path) -> None:
        """A missing file and a folder are told, each with its reason; escape codes in names do no harm."""
        name = "\x1b[2J.png"
        (folder / name).mkdir()
        done = imgcli("view", "none.png", name)
        assert 2 == done.exit_code
        assert "none.png cannot be read: No such file or directory." in done.stderr
        assert "Is a directory" in done.stderr
        assert "\x1b" not in done.stderr

    def test_a_image_may_be_piped(self, imgcli: Cli) -> None:
        """`curl ... | imgcli view` shows an image; no file name is needed."""
        done = imgcli("view", input=RED)
        assert [f"standard input, png, 48x32, {len(RED)} bytes"] == done.lines

    def test_nothing_to_view_is_said(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """Without a file and without a pipe there is a hint, not a wait for typing."""
        with PtyRun(["view"], world | TRUECOLOR, folder) as run:
            assert 2 == run.finish()
        assert "There is nothing to view." in run.text
        assert 2 == imgcli("view", "-", "-", input=b"").exit_code


RUNS = {
    "raw stream of the Responses API": whole_run(GREEN),
    "raw stream of the Images API": images_run(GREEN),
    "with a byte order mark": b"\xef\xbb\xbf" + whole_run(GREEN),
    "answer that is not streamed": plain_answer(GREEN),
    "JSON lines": json_lines(*WHOLE_RUN),
    "recorded run": b": imgcli {}\n\n: +0.000\n" + whole_run(GREEN),
}


class TestRuns:
    """Runs from files and from pipes."""

    def test_every_kind_of_run_is_understood(self, imgcli: Cli, folder: Path) -> None:
        """Raw streams, plain answers, JSON lines and records are told apart by themselves."""
        for number, data in enumerate(RUNS.values()):
            (folder / f"run{number}").write_bytes(data)
        done = imgcli("view", *(f"run{number}" for number in range(len(RUNS))), "--fast")
        assert (0, len(RUNS)) == (done.exit_code, len(done.lines))
        assert all(", png, " in line for line in done.lines)

    def test_finals_are_kept_and_nothing_else(self, imgcli: Cli, folder: Path) -> None:
        """--save keeps the finished image, its bytes untouched, over nothing, and prints its path."""
        (folder / "run.sse").write_bytes(whole_run(GREEN))
        (folder / "kept").mkdir()
        (folder / "kept" / "run.png").write_bytes(b"mine")
        done = imgcli("view", "run.sse", "--fast", "--save", "kept")
        assert (0, [str(folder / "kept" / "run-2.png")]) == (done.exit_code, done.lines)
        assert GREEN == (folder / "kept" / "run-2.png").read_bytes()
        assert b"mine" == (folder / "kept" / "run.png").read_bytes()
        assert ["run-2.png", "run.png"] == sorted(path.name for path in (folder / "kept").iterdir())

    def test_a_image_that_passes_by_is_kept(self, imgcli: Cli, folder: Path) -> None:
        """--save keeps a piped image too."""
        done = imgcli("view", "-", "--save", ".", input=RED)
        assert (0, [str(folder / "image.png")]) == (done.exit_code, done.lines)
        assert RED == (folder / "image.png").read_bytes()

    def test_no_place_to_save_is_found_out_at_once(self, imgcli: Cli, folder: Path) -> None:
        """A folder that cannot be made gets exit code 12, before anything is shown."""
        (folder / "run.sse").write_bytes(whole_run())
        done = imgcli("view", "run.sse", "--save", "run.sse/none")
        assert (12, b"") == (done.exit_code, done.stdout)

    def test_a_folder_that_is_not_there_is_made(self, imgcli: Cli, folder: Path) -> None:
        """--save makes its folder, and leaves none behind where no image came."""
        (folder / "run.sse").write_bytes(whole_run(GREEN))
        done = imgcli("view", "run.sse", "--fast", "--save", "deep/kept/")
        kept = folder / "deep/kept/run.png"
        assert (0, [str(kept)], GREEN) == (done.exit_code, done.lines, kept.read_bytes())
        imgcli("view", "-", "--save", "none", input=stream(created(), partial(0)))
        assert ["deep", "run.sse"] == sorted(path.name for path in folder.iterdir())

    def test_a_stream_without_a_image(self, imgcli: Cli, folder: Path) -> None:
        """A stream that ends after a partial is no success, and its partial is not kept."""
        done = imgcli("view", "-", "--save", ".", input=stream(created(), partial(0)))
        assert (9, []) == (done.exit_code, list(folder.iterdir()))
        assert "1 partial image and no final one" in done.stderr

    def test_an_error_in_json_lines_keeps_its_meaning(self, imgcli: Cli) -> None:
        """An error line ends the run with the sentence, the money and the exit code that it had."""
        problem = Problem(ExitCode.REFUSED, f"Refused. {HOSTILE}", Charged.NO, "Change it.")
        done = imgcli("view", "-", input=json_lines(type(failed())("j", problem)))
        assert 5 == done.exit_code
        assert "error: Refused." in done.stderr
        assert "Change it." in done.stderr
        assert "\x1b" not in done.stderr

    def test_a_web_page_is_named(self, imgcli: Cli) -> None:
        """When curl got a web page instead of a stream, that is what is said."""
        done = imgcli("view", "-", input=b"<html><title>Log in</title></html>")
        assert (5, True) == (done.exit_code, "web page" in done.stderr)


def viewing(world: dict[str, str], folder: Path, *args: str) -> subprocess.Popen[bytes]:
    """Start `imgcli view` with pipes all around."""
    pipe = subprocess.PIPE
    command = [*zygote.IMGCLI, "view", *args]
    return zygote.start(command, env=world, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("kind", ["stream", "lines"])
def test_a_stream_is_shown_while_it_is_written(kind: str, world: dict[str, str], folder: Path) -> None:
    """What another program has written so far is shown at once, long before it ends."""
    if kind == "stream":
        parts = [stream(created(), partial(0, BLUE)), whole_run(RED, partials=0)]
    else:
        lines = json_lines(*WHOLE_RUN).splitlines(keepends=True)
        parts = [lines[0], b"".join(lines[1:])]
    with viewing(world, folder, "-") as view:
        assert view.stdin
        assert view.stdout
        assert view.stderr
        view.stdin.write(parts[0])
        view.stdin.flush()
        assert b"partial 1 after" in view.stderr.readline()
        assert view.poll() is None
        view.stdin.write(parts[1])
        view.stdin.close()
        assert b", png, " in view.stdout.read()
        assert 0 == view.wait()


def test_a_recording_takes_its_time(imgcli: Cli, folder: Path) -> None:
    """A replay lasts as long as the run did, divided by --speed; --fast does not wait."""
    late = b": +14.000\n"
    (folder / "run.sse").write_bytes(b"\n" + stream(created(), partial(0)) + late + whole_run() + late)
    began = time.monotonic()
    assert 0 == imgcli("view", "run.sse", "--fast").exit_code
    at_once = time.monotonic() - began
    assert 0 == imgcli("view", "run.sse", "--speed", "20", env={PACE: "1"}).exit_code
    assert 14 > at_once
    assert 0.7 <= time.monotonic() - began - at_once
    assert 2 == imgcli("view", "run.sse", "--speed", "0").exit_code


@pytest.mark.parametrize("elapsed", ["1e12", "-1e12", "1e308", "9" * 400, f"-{'9' * 400}"])
def test_no_run_lasts_for_ever(elapsed: str, imgcli: Cli, folder: Path) -> None:
    """A line with an absurd time is shown at once: a file can hold any number."""
    line = {"partial_image_b64s": [b64(RED)], "status": "completed", "elapsed_s": "X"}
    (folder / "run.jsonl").write_text(json.dumps(line).replace('"X"', elapsed) + "\n")
    result = imgcli("view", "run.jsonl")
    assert (0, 1) == (result.exit_code, len(result.lines)), result.stderr


class TestOnATerminal:
    """What a person sees."""

    def test_images_side_by_side(self, world: dict[str, str], folder: Path) -> None:
        """Several files are shown side by side, each with its name under it; the cursor is back."""
        (folder / "a.png").write_bytes(RED)
        (folder / "b.png").write_bytes(BLUE)
        args = ["view", "a.png", "b.png", "--width", "12"]
        with PtyRun(args, world | TRUECOLOR, folder, before=b"$ imgcli view\r\n") as run:
            assert 0 == run.finish()
        row = next(row for row, line in enumerate(run.lines) if line.split() == ["a.png", "b.png"])
        second = run.lines[row].index("b.png")
        above = run.screen.buffer[row - 1]
        assert ("c82828", "2828c8") == (above[0].bg, above[second].bg)
        assert "default" == above[12].bg
        assert "$ imgcli view" == run.lines[0]
        assert run.cursor_visible
        assert (0, row + 1) == (run.screen.cursor.x, run.screen.cursor.y)

    def test_more_images_than_fit(self, world: dict[str, str], folder: Path) -> None:
        """Images that do not fit into one window follow below, in order, without what is no image."""
        names = [f"{number}.png" for number in range(11)]
        for name in names:
            (folder / name).write_bytes(RED)
        (folder / "5.png").write_bytes(BAD["cut"])
        with PtyRun(["view", *names], world | TRUECOLOR, folder, rows=60) as run:
            assert 11 == run.finish()
        seen = [word for line in run.lines for word in line.split() if word.endswith(".png")]
        assert [*names[:5], *names[6:]] == [word for word in seen if word in names and word != "5.png"]
        assert "5.png cannot be shown: the image is damaged or cut short." in run.text

    def test_a_replay_is_live(self, world: dict[str, str], folder: Path) -> None:
        """A recorded run is painted in place, first rough, then final, and its image stays."""
        run = (
            b": imgcli {}\n\n"
            + stream(created(), partial(0))
            + b": +0.000\ndata:\n\n: +1.200\n"
            + whole_run(RED)
        )
        (folder / "run.sse").write_bytes(run)
        with PtyRun(["view", "run.sse"], world | TRUECOLOR | {PACE: "1"}, folder) as seen:
            seen.wait_for(lambda now: "2828c8" == now.screen.buffer[0][0].bg and "partial 1" in now.text)
            assert 0 == seen.finish()
        assert "c82828" == seen.screen.buffer[0][0].bg
        assert seen.cursor_visible

    def test_the_image_goes_where_the_terminal_is(self, world: dict[str, str], folder: Path) -> None:
        """With standard output in a pipe the image is on standard error, and the pipe stays clean."""
        (folder / "a.png").write_bytes(RED)
        script = f"{sys.executable} -m imgcli view a.png --width 9 > out; echo $?"
        shell = ("bash", "--norc", "-c")
        with PtyRun([script], world | TRUECOLOR, folder, program=shell) as run:
            assert 0 == run.finish()
        assert "c82828" == run.screen.buffer[0][0].bg
        assert b"" == (folder / "out").read_bytes()

    def test_plain_is_plain(self, world: dict[str, str], folder: Path) -> None:
        """--plain describes images in words, also on a terminal; nothing moves."""
        (folder / "a.png").write_bytes(RED)
        with PtyRun(["view", "a.png", "--plain"], world | TRUECOLOR, folder) as run:
            assert 0 == run.finish()
        assert f"a.png, png, 48x32, {len(RED)} bytes" == run.lines[0]
        assert b"\x1b" not in run.raw

    @pytest.mark.parametrize(("columns", "rows", "count"), [(1, 1, 1), (200, 60, 1), (1, 1, 2)])
    def test_every_window_takes_it(
        self, columns: int, rows: int, count: int, world: dict[str, str], folder: Path
    ) -> None:
        """In a window of any size images are shown, or left out, and the cursor is back."""
        (folder / "a.png").write_bytes(RED)
        with PtyRun(
            ["view", *["a.png"] * count], world | TRUECOLOR, folder, columns=columns, rows=rows
        ) as run:
            assert 0 == run.finish()
        assert run.cursor_visible


class TestReadingLines:
    """JSON lines to events, whoever wrote them."""

    def read(self, data: bytes, size: int = 1 << 20) -> Iterator[Event]:
        """Read in pieces."""
        return read_json_lines((data[at : at + size] for at in range(0, len(data), size)), "j")

    @pytest.mark.parametrize("size", [1, 100, 1 << 20])
    def test_what_gen_writes_comes_back(self, size: int) -> None:
        """The images of a run are read back from its lines, the very bytes, in pieces of any size."""
        events = list(self.read(json_lines(*WHOLE_RUN), size))
        images = [event.image for event in events if isinstance(event, PartialImage | FinalImage)]
        assert [ROUGH, BETTER, FINE] == images
        end = events[-1]
        assert isinstance(end, Completed)
        assert ("gpt-4o-mini-2024-07-18", {"input_tokens": 9}, "resp_1") == (
            end.model,
            end.usage,
            end.response_id,
        )

    def test_a_image_elsewhere_is_still_a_image(self) -> None:
        """An error line after which the image came all the same is a note."""
        problem = Problem(ExitCode.ELSEWHERE, "The disk is full; it is elsewhere.", Charged.YES)
        events = (*WHOLE_RUN[:-2], saved(problem=problem), WHOLE_RUN[-1])
        kinds = [type(event) for event in self.read(json_lines(*events))]
        assert [PartialImage, PartialImage, Notice, FinalImage, Completed] == kinds

    def test_several_jobs_in_one_stream(self) -> None:
        """Images of several runs, one after the other in one file, are all shown."""
        events = list(self.read(json_lines(*WHOLE_RUN) + json_lines(*WHOLE_RUN).replace(b'"j1"', b'"j2"')))
        assert [0, 1] == [event.image_index for event in events if isinstance(event, FinalImage)]

    def test_the_web_clients_lines_are_enough(self) -> None:
        """Lines with the five keys of the web client's contract, and no more, are a run."""
        keys = {"usage": None, "final_model": None}
        lines = [
            {"output_index": 0, "partial_image_b64s": [b64(BLUE)], **keys, "status": "partial"},
            {"output_index": 1, "partial_image_b64s": [b64(RED)], **keys, "status": "completed"},
        ]
        events = list(self.read("\n".join(map(json.dumps, lines)).encode()))
        assert [PartialImage, FinalImage, Completed] == [type(event) for event in events]

    @pytest.mark.parametrize(
        "line",
        [
            b"not json",
            b"[1]",
            b'{"status": "partial", "partial_image_b64s": ["%%%"]}',
            b'{"status": "completed", "partial_image_b64s": [], "path": "/x.png"}',
        ],
    )
    def test_bad_lines_cost_a_note(self, line: bytes) -> None:
        """A line that holds no image is told once, and the rest is read."""
        events = list(self.read(line + b"\n" + line + b"\n" + json_lines(*WHOLE_RUN)))
        assert 1 == sum(isinstance(event, Notice) for event in events)
        assert 1 == sum(isinstance(event, FinalImage) for event in events)

    def test_a_damaged_final_image_is_an_error(self) -> None:
        """A final image that cannot be decoded is no success."""
        with pytest.raises(ImgcliError) as caught:
            list(self.read(b'{"status": "completed", "partial_image_b64s": ["%%%"]}'))
        assert ExitCode.DAMAGED is caught.value.problem.exit_code

    @pytest.mark.parametrize("junk", [b"", b"\n\n", b"{}", b'{"status": 5, "elapsed_s": "x"}'])
    def test_nothing_is_nothing(self, junk: bytes) -> None:
        """Lines without a run give no events at all: the session has words for that."""
        assert [] == list(self.read(junk))


@pytest.mark.slow
def test_viewing_is_light(world: dict[str, str], folder: Path) -> None:
    """An image is shown without loading OpenAI's library, which takes longer than all the rest."""
    (folder / "a.png").write_bytes(RED)
    code = (
        "import sys, os\n"
        "sys.argv = ['imgcli', 'view', 'a.png']\n"
        "os._exit = lambda code: (print(*sorted(sys.modules), file=sys.stderr), sys.exit(code))\n"
        "from imgcli.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=world, cwd=folder, capture_output=True, check=True
    )
    assert set() == {"openai", "httpx2", "rich"} & set(done.stderr.decode().split())


@pytest.mark.slow
def test_a_large_run_is_never_whole_in_memory(folder: Path, world: dict[str, str]) -> None:
    """A stream that another program kept is replayed as it is read, however long it is."""
    event = record({"type": "response.in_progress", "x": "x" * 1_000_000})
    peaks = []
    for name, times in (("small.sse", 1), ("large.sse", 100)):
        (folder / name).write_bytes(event * times + whole_run())
        peaks.append(peak(folder, world, "view", name))
    assert peaks[1] - peaks[0] < 20_000_000, peaks


@pytest.mark.slow
@pytest.mark.parametrize("value", ["[]", "{}", '"a"', "0.1", '{"a":[{}]}'])
def test_an_event_of_countless_values(value: str, folder: Path, world: dict[str, str]) -> None:
    """An event with values without number is left out; it does not fill the memory many times over."""
    many = ",".join([value] * (20_000_000 // (len(value) + 1)))
    (folder / "odd.sse").write_bytes(f'data: {{"a": [{many}]}}\n\n'.encode() + whole_run())
    assert peak(folder, world, "view", "odd.sse") < 170_000_000


def test_commas_inside_a_string_are_no_values() -> None:
    """A long text full of commas and brackets is read like any other."""
    text = ',[{"\\' * 200_000
    assert {"a": text} == parse_object(json.dumps({"a": text}))
