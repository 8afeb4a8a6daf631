"""The plan of a batch: what rows, variables and options become, and which tasks are the same as before."""

from __future__ import annotations

import io
import json
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import typer

from images import encoded
from imgcli.app.batch.batch_input import BatchInput
from imgcli.app.batch.batch_planner import plan_batch
from imgcli.app.batch.variables import parse_variables
from imgcli.app.context import Context
from imgcli.cli.config.settings import AppliedProfile
from imgcli.cli.registry import build_app
from imgcli.cli.rows import CommandRowOptions
from imgcli.core.batch_file import BatchFileError
from imgcli.core.config import Preset
from imgcli.core.errors import ImgcliError
from imgcli.core.params import Background, Quality

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from imgcli.app.batch.batch_plan import BatchPlan

    Plan = Callable[..., BatchPlan]


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A world without a terminal, a key or a configuration, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Context(
        env={"HOME": str(tmp_path)},
        stdin=io.TextIOWrapper(io.BytesIO()),
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        monotonic=lambda: 0.0,
        sleep=lambda _: None,
        now=lambda: datetime(2026, 11, 1, tzinfo=UTC),
        size=lambda: os.terminal_size((80, 24)),
        token=lambda: "token",
    )


@pytest.fixture
def plan(context: Context) -> Plan:
    """Plan rows as `imgcli batch FILE ARGS...` does; rows that are no text are JSON Lines."""
    group: Any = typer.main.get_group(build_app({"batch"}))

    def make(
        rows: str | list[dict[str, Any]], *args: str, ending: str = "", presets: tuple[Preset, ...] = ()
    ) -> BatchPlan:
        text = rows if isinstance(rows, str) else "\n".join(map(json.dumps, rows))
        with group.commands["batch"].make_context("batch", ["rows", *args], obj=context) as ctx:
            flags = ctx.params
            given = BatchInput(
                text.encode(),
                "rows",
                ending or (".txt" if isinstance(rows, str) else ".jsonl"),
                flags["prompt"],
                parse_variables(flags["var"] or []),
                str(flags["seed"] or 0),
                flags["output"],
                tuple(flags["images"] or ()),
                flags["mask"],
                flags["markup"],
                tuple(flags["model"] or ()),
                flags["count"],
                flags["single_request"],
                presets,
            )
            each = {**flags, "seed": None, "estimate": False, "dry_run": False}
            return plan_batch(context, given, CommandRowOptions(ctx, each, AppliedProfile()))

    return make


def faults(plan: Plan, rows: str | list[dict[str, Any]], *args: str, ending: str = "") -> str:
    """Return what is said of wrong rows."""
    with pytest.raises(ImgcliError) as caught:
        plan(rows, *args, ending=ending)
    problem = caught.value.problem
    lines = caught.value.faults if isinstance(caught.value, BatchFileError) else ()
    return "\n".join([*lines, problem.what, problem.advice])


def prompts(made: BatchPlan) -> list[str]:
    """Return the prompts of all tasks."""
    return [task.prompt for task in made.tasks]


def keys(made: BatchPlan) -> list[str]:
    """Return the identities of all tasks."""
    return [task.key for task in made.tasks]


def test_a_row_beats_the_command_line(plan: Plan) -> None:
    """A row's options apply instead of the command's, written with - or _, in any case."""
    made = plan(
        [
            {"prompt": "a"},
            {"prompt": "b", "Quality": "low", "image_model": "gpt-image-1-mini", "background": "Opaque"},
        ],
        *("--quality", "high", "--size", "16:9"),
    )
    first, second = (made.options(task).draft for task in made.tasks)
    assert (Quality.HIGH, None, "16:9") == (first.quality, first.image_model, first.size)
    assert (Quality.LOW, "gpt-image-1-mini", "16:9") == (second.quality, second.image_model, second.size)
    assert Background.OPAQUE is second.background
    assert ["a", "b"] == [first.prompt, second.prompt]


def test_rows_with_the_same_options_share_them(plan: Plan) -> None:
    """Options are checked once for each distinct set, however many rows have it."""
    rows = [{"prompt": str(number), "size": ["16:9", "1:1"][number % 2]} for number in range(100)]
    made = plan(rows)
    assert (100, 2, 2) == (len(made.tasks), len(made.kinds), len(made.requests))
    assert "1536x864" == made.request(made.tasks[0]).size


def test_a_rows_option_beats_what_contradicts_it(plan: Plan) -> None:
    """An option for all rows gives way where a row's own one excludes it, as a default does."""
    made = plan(
        [{"prompt": "a", "format": "png"}, {"prompt": "b"}], "--format", "webp", "--compression", "50"
    )
    assert [None, 50] == [made.options(task).draft.compression for task in made.tasks]


def test_values_of_csv_are_typed(plan: Plan) -> None:
    """Cells are text, and become numbers and switches; empty ones are not set."""
    text = "prompt,compression,embed,output,size\na,50,no,x.webp,\nb,,yes,y.png,16:9\n"
    made = plan(text, ending=".csv")
    first, second = map(made.options, made.tasks)
    assert (50, False, "x.webp") == (first.draft.compression, first.output.embed, first.output.name)
    assert (None, True, "y.png") == (second.draft.compression, second.output.embed, second.output.name)
    assert ["1024x1024", "16:9"] == [first.draft.size, second.draft.size]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"size": "1x"}, "size must be WIDTHxHEIGHT"),
        ({"quality": "hihg"}, "Did you mean high?"),
        ({"compression": "x"}, "compression must be a whole number, not x"),
        ({"compression": True}, "compression must be a whole number, not True"),
        ({"partials": 9}, "partials must be between 0 and 3"),
        ({"embed": "maybe"}, "embed must be true or false"),
        ({"format": "bmp"}, "format: 'bmp' is not one of"),
        ({"size": 1024}, "size must be text, not 1024"),
        ({"id": True}, "id must be text"),
        ({"output": 5}, "output must be text"),
        ({"output": "a{foo}.png"}, "output has an unknown field {foo}"),
        ({"output": "-"}, "cannot write to standard output"),
        ({"output": "a.bmp"}, "No model makes bmp"),
        ({"image": "nope.png"}, "nope.png cannot be read"),
        ({"image": [1]}, "image must be text or a list"),
        ({"image": "-"}, "standard input"),
        ({"mask": "nope.png"}, "mask needs an image"),
        ({"markup": "nope.png"}, "nope.png cannot be read"),
        ({"detach": "true", "model": "gpt-image-2"}, "detach needs the Responses API"),
        ({"completion-window": "2h"}, "`imgcli batch --later` submits them all"),
        ({"count": 0}, "count must be between 1 and 100"),
        ({"model": "gpt-image-2", "image-model": "gpt-image-2"}, "image-model is for text models"),
        ({"szie": "16:9"}, "There is no option szie, and no prompt or output uses {szie}"),
        ({"size": "1:1", "Size": "16:9"}, "size and Size are the same option"),
        ({"prompt": None}, "The row has no prompt."),
        ({"prompt": None, "promt": "a"}, "The row has no prompt, but it has promt.\nDid you mean prompt?"),
        ({"prompt": " "}, "The prompt is empty"),
        ({"prompt": "a\0"}, "a NUL character"),
        ({"prompt": "\ud800"}, "a lone surrogate"),
        ({"prompt": "x" * 40_000, "model": "gpt-image-2"}, "the Images API accepts 32,000"),
        ({"prompt": "x" * 300_000}, "longer than 256 kB"),
        ({"prompt": ["a"]}, "prompt must be text"),
        ({"prompt": "a {b}", "b": {"c": 1}}, "b must be text or a list of texts"),
        ({"prompt": "a {colour}", "color": "red"}, "Did you mean {color}?"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_rows(row: dict[str, Any], said: str, plan: Plan) -> None:
    """Every wrong value is a sentence with the line, in the file's words, and nothing is planned."""
    found = faults(plan, [{"prompt": "fine"}, {"prompt": "a", **row}])
    assert said in found
    assert "Line 2 of rows: " in found


@pytest.mark.parametrize(
    "name",
    [
        *("base-url", "base_url", "profile", "max-cost", "daily_cap", "record", "force", "no-history"),
        *("no-save", "jsonl", "quiet", "preview", "demo", "dry-run", "open", "copy", "prompt-file"),
        *("continue", "seed", "rate", "report", "later", "timeout"),
    ],
)
def test_a_row_cannot_choose(name: str, plan: Plan) -> None:
    """A file from somebody else names no server, key, limit or record, reads no file and overwrites none."""
    found = faults(plan, [{"prompt": "a {" + name + "}", name: "x"}])
    assert "A row cannot" in found


def test_errors_of_the_command_line_are_not_the_rows(plan: Plan) -> None:
    """What is wrong for all rows is said once, without a line."""
    assert faults(plan, "a\nb\n", "--size", "1x").startswith("--size must be")
    assert faults(plan, "a\nb\n", "-o", "-").startswith("A batch cannot write to standard output")


def test_ten_errors_at_once(plan: Plan) -> None:
    """Errors of parsing and of planning are listed together, in the order of the lines."""
    found = faults(plan, '{"prompt": "a", "size": "1x"}\n{\n{"prompt": ""}\n', ending=".jsonl")
    assert ["Line 1", "Line 2", "Line 3"] == [line[:6] for line in found.splitlines()[:3]]
    assert "rows has 3 errors" in found


def test_columns_are_variables(plan: Plan) -> None:
    """A column that a prompt or an output name uses is a variable; its value is safe in a name."""
    rows = "prompt,animal,main color,output\na {main color} {animal},Big Cat,red,{animal}/{slug}-{n}.png\n"
    task = plan(rows, ending=".csv").tasks[0]
    assert ("a red Big Cat", "big-cat/{slug}-{n}.png") == (task.prompt, task.output)


def test_a_prompt_for_all_rows(plan: Plan) -> None:
    """Rows without a prompt take the command's, filled with their own columns."""
    made = plan("animal\ncat\ndog\n", "--prompt", "a {animal}", "-o", "{animal}.png", ending=".csv")
    assert [("a cat", "cat.png"), ("a dog", "dog.png")] == [(task.prompt, task.output) for task in made.tasks]


def test_presets_frame_every_prompt(plan: Plan) -> None:
    """A preset's template goes around each prompt, and may use variables; what was typed is kept."""
    ink = Preset("ink", 1, "{prompt}, {tone|choice} ink")
    wide = Preset("wide", 2, 'a wide {prompt} {"a": 1}')
    rows = [{"prompt": "{animal|choice}"}, {"prompt": "a {animal|choice} and {animal|choice}"}]
    numbers = ",".join(map(str, range(99)))
    made = plan(rows, "--var", f"animal={numbers}", "--var", "tone=red,blue", presets=(ink, wide))
    for task in made.tasks:
        around = re.fullmatch(r'a wide (.*), (?:red|blue) ink \{"a": 1\}', task.prompt)
        assert task.typed_prompt == (around[1] if around else "")
        draft = made.options(task).draft
        assert (("ink", "wide"), task.typed_prompt) == (draft.presets, draft.typed_prompt)
        assert ("ink", "wide") == made.request(task).presets
    plain = plan("a cat\n", presets=(wide,)).tasks[0]
    assert ('a wide a cat {"a": 1}', "a cat") == (plain.prompt, plain.typed_prompt)


def test_a_missing_variable(plan: Plan) -> None:
    """A row that lacks a variable which its prompt uses is an error, not a prompt with braces."""
    assert "Line 2 of rows: The prompt uses {animal}, and the row has no animal" in faults(
        plan, "prompt,animal\na {animal},\nthe {animal},dog\n", ending=".csv"
    )


def test_a_column_that_some_rows_use(plan: Plan) -> None:
    """A column is no typo where any row uses it."""
    assert ["a cat", "a red dog"] == prompts(
        plan([{"prompt": "a cat", "color": "blue"}, {"prompt": "a {color} dog", "color": "red"}])
    )


def test_rows_times_variables_times_models(plan: Plan) -> None:
    """Values, models and the number of images multiply; each image has an id and a number of its own."""
    made = plan(
        [{"prompt": "{style} {animal}", "animal": ["cat", "dog"], "id": "x", "output": "{id}.png"}],
        *("--var", "style=ink,oil", "-m", "gpt-image-2", "-m", "gpt-4o-mini", "-n", "2"),
    )
    assert 16 == len(made.tasks) == len(set(keys(made)))
    assert {"ink cat", "ink dog", "oil cat", "oil dog"} == set(prompts(made))
    assert [f"x-{number}" for number in range(1, 17)] == [task.id for task in made.tasks]
    assert {"gpt-image-2", "gpt-4o-mini"} == {made.options(task).draft.model for task in made.tasks}


def test_one_request_for_several_images(plan: Plan) -> None:
    """With --single-request a row's images are one request, another task than the same one by one."""
    rows = [{"prompt": "a", "count": 3, "model": "gpt-image-2"}]
    one, three = plan(rows, "--single-request"), plan(rows)
    assert (1, 3) == (len(one.tasks), len(three.tasks))
    assert 3 == one.options(one.tasks[0]).draft.count
    assert not set(keys(one)) & set(keys(three))


def test_ids(plan: Plan) -> None:
    """{id} in an output name is the row's own id; two rows cannot have the same one."""
    made = plan([{"prompt": "a", "id": 7}, {"prompt": "b", "id": "Ä b"}], "-o", "out/{id}-{n}.png")
    assert ["out/7-{n}.png", "out/ä-b-{n}.png"] == [task.output for task in made.tasks]
    assert "The id 7 is already that of line 1" in faults(
        plan, [{"prompt": "a", "id": 7}, {"prompt": "b", "id": "7"}]
    )


def test_a_variable_named_like_a_field(plan: Plan) -> None:
    """A column named like a field of the output name may be used in prompts, but not there."""
    rows = [{"prompt": "on {date}", "date": "Monday"}]
    assert ["on Monday"] == prompts(plan(rows))
    assert "{date} is a field of the output name" in faults(plan, rows, "-o", "{date}.png")


def test_what_looks_like_a_variable(plan: Plan) -> None:
    """A placeholder that nothing declares is sent as it is, and told before anything is sent."""
    made = plan('a {animal}\n{"json": "yes"}\n')
    assert ["a {animal}", '{"json": "yes"}'] == prompts(made)
    assert ("{animal} on line 1 is sent as it is: nothing declares it",) == made.notices


def test_rows_that_save_elsewhere(plan: Plan) -> None:
    """Where a row saves outside the current folder is told before anything is sent; -o of the user is not."""
    rows = [
        {"prompt": "a", "output": name} for name in ("x/a.png", "../a.png", "~/a.png", "/a.png", "/b.png")
    ]
    assert (
        "line 2 saves outside the current folder: ../a.png",
        "line 3 saves outside the current folder: ~/a.png",
        "line 4 saves outside the current folder: /a.png",
        "and 1 more outside the current folder",
    ) == plan(rows).notices
    assert () == plan("a\n", "-o", "../").notices


def test_identity(plan: Plan) -> None:
    """A task keeps its identity wherever its row stands, whatever it is called and however it is watched."""
    one = keys(plan("a cat\n"))
    assert one == keys(plan("# comment\n\na cat\n"))
    assert one == keys(plan([{"prompt": "a cat", "id": "x", "output": "x.png"}]))
    assert one == keys(plan("a cat\n", "--partials", "2", "--keep-partials", "--timeout", "60"))
    assert one == keys(plan("a dog\na cat\n"))[1:]


@pytest.mark.parametrize(
    "args",
    [
        ("--size", "16:9"),
        ("--quality", "low"),
        ("-m", "gpt-image-2"),
        ("--format", "webp"),
        ("--background", "opaque"),
        ("--demo",),
        ("--base-url", "http://localhost:1/v1"),
        ("-i", "in.png"),
    ],
    ids=" ".join,
)
def test_what_makes_a_task_another_one(args: tuple[str, ...], plan: Plan, tmp_path: Path) -> None:
    """Whatever changes the image, or who makes it, makes a new task."""
    (tmp_path / "in.png").write_bytes(encoded("PNG"))
    assert keys(plan("a cat\n")) != keys(plan("a cat\n", *args))


def test_equal_rows_are_tasks_of_their_own(plan: Plan) -> None:
    """Three equal prompts are three images, and stay the same three when others come between them."""
    three = keys(plan("a\na\na\n"))
    assert 3 == len(set(three))
    assert three == [key for key in keys(plan("a\nb\na\na\n")) if key in three]


def test_the_key_of_a_task_never_changes(plan: Plan) -> None:
    """A batch that an earlier version began is continued: keys are a promise."""
    made = plan([{"prompt": "a cat"}, {"prompt": "고양이", "size": "16:9", "quality": "low"}])
    assert ["5194cf82a7eb4fe90f896a194bf48b7d", "55f84b88aadf12f18c831dbecf2aa835"] == keys(made)


def test_choices_do_not_depend_on_other_rows(plan: Plan) -> None:
    """A row that is added before others changes nothing of what was picked for them."""
    values = ",".join(map(str, range(1000)))
    before = prompts(plan("a {x|choice}\na {x|choice}\n", "--var", f"x={values}"))
    after = prompts(plan("new {x|choice}\na {x|choice}\na {x|choice}\n", "--var", f"x={values}"))
    assert before == after[1:]
    assert before[0] != before[1]
    assert before != prompts(plan("a {x|choice}\na {x|choice}\n", "--var", f"x={values}", "--seed", "5"))


def test_input_images(plan: Plan, tmp_path: Path) -> None:
    """Images of rows are checked at once, kept without their bytes, and read again when their turn comes."""
    (tmp_path / "in.png").write_bytes(encoded("PNG"))
    made = plan([{"prompt": "a", "image": "in.png"}, {"prompt": "b", "image": ["in.png", "in.png"]}])
    assert [None, None, None] == [one.data for kind in made.kinds for one in kind.draft.references]
    options = made.options(made.tasks[1])
    assert [encoded("PNG")] * 2 == [one.data for one in options.draft.references]
    assert 2 == len(options.parents)
    (tmp_path / "in.png").write_bytes(encoded("PNG", size=(16, 16)))
    with pytest.raises(ImgcliError, match="no longer the same image"):
        made.options(made.tasks[0])


def test_force_never_replaces_one_image_by_another(plan: Plan) -> None:
    """With --force two rows cannot go to the same file: the first image would be paid for and lost."""
    assert "Lines 1 and 2 of rows would both be saved as a-cat.png" in faults(
        plan, "a cat\nA cat!\n", "--force"
    )
    assert 2 == len(plan("a cat\nA cat!\n", "--force", "-o", "{id}.png").tasks)


def test_nobody_watches(plan: Plan) -> None:
    """A batch asks for no partial images unless it is told to."""
    assert [0, 2] == [
        made.options(made.tasks[0]).draft.partials for made in (plan("a\n"), plan("a\n", "--partials", "2"))
    ]


def test_a_home_folder(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """~ in a row's output is the home folder: no shell has seen it."""
    monkeypatch.setenv("HOME", "/home/me")
    assert "/home/me/a.png" == plan([{"prompt": "a", "output": "~/a.png"}]).tasks[0].output


@pytest.mark.slow
def test_a_hundred_thousand_rows(plan: Plan) -> None:
    """A hundred thousand rows are planned, each with a key of its own."""
    made = plan("\n".join(f"a cat {number}" for number in range(100_000)))
    assert (100_000, 1) == (len(set(keys(made))), len(made.kinds))
