"""Presets: templates for prompts and defaults of options, by name."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import zygote
from beside import PATIENCE
from earlier import AT, REQUEST, remember
from imgcli.core.embedded import read
from imgcli.core.request import ImageRequest
from imgcli.store.runlog.writer import RunLog, RunLogHeader
from streams import GREEN, RED, images_run, whole_run
from tables import each
from test_edit import at
from test_recover import files
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Asked = Callable[..., dict[str, Any]]
    Refused = Callable[..., str]
    Config = Callable[[str], Path]

PRESETS = """\
[preset.woodcut]
prompt = "a woodcut of {prompt}, black ink"
size = "portrait"
quality = "low"
[preset.night]
prompt = 'at night: {prompt} {"not": {"a": "{field}"}} {{prompt}'
quality = "high"
[preset.draft]
quality = "low"
size = "square"
"""
CAT = "a woodcut of a cat, black ink"


@pytest.fixture
def config(world: dict[str, str]) -> Config:
    """Write the configuration: the presets, after what a test has of its own."""

    def write(text: str) -> Path:
        path = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def presets(config: Config) -> Path:
    """Write the presets, and nothing else."""
    return config(PRESETS)


def facts(asked: dict[str, Any]) -> tuple[str, str, str]:
    """Give the prompt, the size and the quality of a request of the Responses API."""
    (tool,) = asked["tools"]
    text = asked["input"] if isinstance(asked["input"], str) else asked["input"][0]["content"][0]["text"]
    return text, tool["size"], tool["quality"]


class TestApplied:
    """What is sent."""

    @pytest.mark.usefixtures("presets")
    def test_gen(self, server: Server, imgcli: Cli, folder: Path) -> None:
        """The template is sent with what was typed in its place; the file is named after what was typed."""
        wire = server(Reply(images_run()))
        done = imgcli("gen", "a cat", "--preset", "woodcut", "-m", "gpt-image-2", env=at(wire))
        assert (0, [str(folder / "a-cat.png")]) == (done.exit_code, done.lines), done.stderr
        sent = wire.requests[0].json
        assert (CAT, "1024x1536", "low") == (sent["prompt"], sent["size"], sent["quality"])
        assert "low quality, preset woodcut" in done.stderr

    @pytest.mark.usefixtures("presets")
    def test_two_in_a_row(self, asked: Asked) -> None:
        """The second template gets the first one's result, its options win, and other braces stay."""
        body = asked("gen", "a {prompt} cat", "--preset", "woodcut", "--preset", "night")
        inner = "a woodcut of a {prompt} cat, black ink"
        expected = f'at night: {inner} {{"not": {{"a": "{{field}}"}}}} {{{inner}'
        assert (expected, "1024x1536", "high") == facts(body)
        assert "note: presets woodcut, night\n" in body["told"]

    @pytest.mark.usefixtures("presets")
    def test_edit(self, asked: Asked, folder: Path) -> None:
        """An edit's words go through the template as well."""
        (folder / "photo.png").write_bytes(RED)
        assert facts(asked("edit", "photo.png", "a boat", "--preset", "woodcut")) == (
            "a woodcut of a boat, black ink",
            "1024x1536",
            "low",
        )

    @pytest.mark.parametrize(
        ("args", "env", "expected"),
        [
            (["--quality", "high"], {}, ("gpt-6-luna", "high")),
            ([], {"IMGCLI_MODEL": "gpt-6-terra"}, ("gpt-6-terra", "low")),
            (["--profile", "other"], {}, ("gpt-6-luna", "low")),
            (["--preset", "fine"], {}, ("gpt-6-luna", "high")),
            (["--preset", ""], {}, ("from-file", "max")),
        ],
        ids=["flag", "environment", "profile", "later", "none"],
    )
    def test_who_is_heard_first(
        self, args: list[str], env: dict[str, str], expected: tuple[str, str], config: Config, asked: Asked
    ) -> None:
        """A preset gives way to the command line and the environment, not to profile, command and file."""
        config(
            'model = "from-file"\n[gen]\nquality = "max"\n[profile.other]\nmodel = "from-profile"\n'
            '[preset.p]\nmodel = "gpt-6-luna"\nquality = "low"\n[preset.fine]\nquality = "high"\n'
        )
        named = [] if args == ["--preset", ""] else ["--preset", "p"]
        body = asked("gen", "a cat", *named, *args, **env)
        assert expected == (body["model"], body["tools"][0]["quality"])

    @pytest.mark.parametrize(
        "text",
        [
            f'default-preset = "woodcut"\n{PRESETS}',
            f'default-preset = ["woodcut"]\n{PRESETS}',
            f'{PRESETS}[gen]\npreset = "woodcut"\n',
            f'default-profile = "p"\n{PRESETS}[profile.p]\npreset = ["woodcut"]\n',
        ],
        ids=["text", "list", "command", "profile"],
    )
    def test_a_default(self, text: str, config: Config, asked: Asked) -> None:
        """A preset can be the default; one that is named, or none, takes its place."""
        config(text)
        assert (CAT, "1024x1536", "low") == facts(asked("gen", "a cat"))
        named = asked("gen", "a cat", "--preset", "draft")
        assert (("a cat", "1024x1024", "low"), "note: preset draft\n") == (facts(named), named["told"])
        assert ("a cat", "1024x1024", "medium") == facts(asked("gen", "a cat", "--preset", ""))

    def test_other_commands_are_left_alone(self, config: Config, imgcli: Cli) -> None:
        """A default preset is for commands that make images: `view` shows them as always."""
        config('default-preset = "small"\n[preset.small]\nwidth = 3\n')
        shown = json.loads(imgcli("config", "show", "--json").stdout)["options"]
        widths = {row["command"]: row["value"] for row in shown if row["option"] == "width"}
        assert {"gen": 3, "view": None} == {name: widths[name] for name in ("gen", "view")}

    def test_a_default_that_does_not_fit_gives_way(self, config: Config, asked: Asked) -> None:
        """A preset for a folder full of WebP does not refuse `-o cat.png`."""
        config('[preset.web]\nformat = "webp"\ncompression = 50\n')
        body = asked("gen", "a cat", "--preset", "web", "-o", "cat.png")
        assert ("png", None) == (
            body["tools"][0]["output_format"],
            body["tools"][0].get("output_compression"),
        )

    def test_a_preset_is_above_a_profile_that_contradicts_it(
        self, config: Config, server: Server, imgcli: Cli, folder: Path
    ) -> None:
        """A preset that names a folder beats a profile that saves nothing."""
        config('default-profile = "p"\n[profile.p]\nno-save = true\n[preset.kept]\noutput = "kept/"\n')
        done = imgcli("gen", "a cat", "--preset", "kept", env=at(server(Reply(whole_run()))))
        assert [str(folder / "kept" / "a-cat.png")] == done.lines, done.stderr


class TestRemembered:
    """What is known of it later."""

    def test_again_does_not_apply_it_twice(
        self, presets: Path, server: Server, imgcli: Cli, asked: Asked, folder: Path
    ) -> None:
        """`again` sends the same prompt; another preset starts from what was typed."""
        done = imgcli("gen", "a cat", "--preset", "woodcut", env=at(server(Reply(whole_run()))))
        assert 0 == done.exit_code, done.stderr
        presets.write_text(PRESETS.replace("black ink", "red ink"), encoding="utf-8")
        same = asked("again", "1")
        assert (CAT, "1024x1536", "low") == facts(same)
        assert "note: preset woodcut\n" in same["told"]
        assert ("a woodcut of a cat, red ink", "1024x1024", "low") == facts(
            asked("again", "1", "--preset", "woodcut", "--preset", "draft")
        )
        assert ("a cat", "1024x1536", "low") == facts(asked("again", "1", "--preset", ""))
        other = asked("again", "1", "a dog")
        assert ("a dog", "1024x1536", "low") == facts(other)
        assert "without preset woodcut, which the earlier one had; add --preset woodcut" in other["told"]
        again = imgcli("again", "1", env=at(server(Reply(whole_run(GREEN)))))
        assert [str(folder / "a-cat-2.png")] == again.lines
        request = json.loads(imgcli("info", "2", "--json").stdout)["run"]["request"]
        assert (CAT, "a cat", ["woodcut"]) == (
            request["prompt"],
            request["typed_prompt"],
            request["presets"],
        )

    def test_a_default_preset_leaves_what_is_repeated(
        self, config: Config, world: dict[str, str], folder: Path, asked: Asked
    ) -> None:
        """A default preset changes neither a repeated prompt nor the options that made an earlier image."""
        config(f'default-preset = "night"\n{PRESETS}')
        remember(world, (RED, folder / "a.png"))
        assert ("a cat", REQUEST.size, "low") == facts(asked("again", "a.png"))
        prompt, *options = facts(asked("again", "a.png", "a dog"))
        assert (True, [REQUEST.size, "low"]) == (prompt.startswith("at night: a dog "), options)
        prompt, *options = facts(asked("again", "a.png", "--preset", "night"))
        assert (True, [REQUEST.size, "high"]) == (prompt.startswith("at night: a cat "), options)

    @pytest.mark.usefixtures("presets")
    def test_info_and_the_file(self, server: Server, imgcli: Cli, folder: Path) -> None:
        """`info` tells both prompts and the presets, from the history as from the file's own parameters."""
        wire = server(Reply(whole_run()))
        imgcli("gen", "a cat", "--preset", "woodcut", "--preset", "draft", "--embed", env=at(wire))
        data = (folder / "a-cat.png").read_bytes()
        embedded = read(data)
        assert embedded is not None
        assert (CAT, "a cat", ("woodcut", "draft")) == (
            embedded.prompt,
            embedded.typed_prompt,
            embedded.presets,
        )
        known = imgcli("info", "a-cat.png").lines
        foreign = imgcli("info", "a-cat.png", env={"XDG_DATA_HOME": str(folder / "elsewhere")}).lines
        for lines in (known, foreign):
            rows = dict(line.strip().split("  ", 1) for line in lines if "  " in line.strip())
            told = {name: rows[name].strip() for name in ("prompt", "preset", "typed")}
            assert {"prompt": CAT, "preset": "woodcut, draft", "typed": "a cat"} == told
        repeated = imgcli(
            "again", "a-cat.png", "--trust", *AT, env={"XDG_DATA_HOME": str(folder / "elsewhere")}
        )
        assert (CAT, "note: presets woodcut, draft") == (
            json.loads(repeated.stdout)["input"],
            repeated.stderr.splitlines()[0],
        )

    def test_recover_names_the_file_alike(self, world: dict[str, str], imgcli: Cli, folder: Path) -> None:
        """An image that `recover` or `view` saves is named after what was typed, as by the run itself."""
        runs = Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"
        request = replace(REQUEST, prompt=CAT, typed_prompt="a cat", presets=("woodcut",))
        log = RunLog.begin(runs, RunLogHeader("job", "2026-11-22T15:00:00+00:00", request, str(folder)))
        list(log.tee([whole_run()]))
        log.close()
        (path,) = runs.iterdir()
        (folder / "seen").mkdir()
        assert 0 == imgcli("view", str(path), "--save", "seen").exit_code
        assert 0 == imgcli("recover").exit_code
        assert (["a-cat.png"], True) == (list(files(folder / "seen")), (folder / "a-cat.png").exists())

    def test_records_of_every_age(self) -> None:
        """A request without presets is written as it always was; one with them is read back whole."""
        plain = REQUEST.to_json()
        assert not {"presets", "typed_prompt"} & plain.keys()
        foreign = ImageRequest.from_json({**plain, "presets": [1, "a"], "typed_prompt": 3})
        assert foreign is not None
        assert (("a",), None, "a cat") == (foreign.presets, foreign.typed_prompt, foreign.subject)


class TestWrong:
    """What is refused, in words, before anything is sent."""

    @each(
        ("text", "line", "told"),
        [
            ('[preset.x]\nqualty = "low"', 2, "unknown option qualty.|Did you mean quality?"),
            ("[preset.x]\nquality = 3", 2, "quality must be text in quotes"),
            ('[preset.x]\nprompt = "a woodcut"', 2, "the template lacks {prompt}"),
            ('[preset.x]\n\nprompt = ""', 3, "the template lacks {prompt}"),
            ("[preset.x]\nprompt = 3", 2, "prompt must be text in quotes"),
            ('[preset."a b"]\nquality = "low"', 1, '"a b" cannot be the name of a preset'),
            ('[preset."\\u001b[2J"]\nquality = "low"', 1, "cannot be the name of a preset"),
            ('[preset.x]\nbase-url = "http://x"', 2, "base-url belongs to one server.|[profile.NAME]"),
            ('[preset.x]\nkey-env = "X"', 2, "key-env belongs to one server."),
            ('[preset.x]\nprofile = "x"', 2, "a preset cannot choose a profile."),
            ('[preset.x]\npreset = "x"', 2, "a preset cannot name presets."),
            ("[preset.x]\nspeed = 3", 2, "a preset has no option speed."),
            ("[preset]\nx = 3", 2, "x is a table.|Write [preset.x]."),
            ('preset = "x"', 1, 'preset is reserved for the tables|default-preset = "NAME"'),
            ('preset = "x"\n[preset.x]', 1, 'does not allow a key `preset`|default-preset = "NAME"'),
            ('\ndefault-preset = ["xyz"]\n[preset.xy]', 2, "there is no [preset.xyz].|Did you mean xy?"),
            ("default-preset = 3\n[preset.x]", 1, "default-preset must be a list"),
            ('[gen]\npreset = "xyz"\n[preset.xy]', 2, "there is no [preset.xyz].|Did you mean xy?"),
            ('[view]\npreset = "x"\n[preset.x]', 2, "view has no option preset."),
            ('[preset.x]\napi-key = "abcdef"', 2, "holds a key or password"),
        ],
    )
    def test_in_the_file(self, text: str, line: int, told: str, config: Config, refused: Refused) -> None:
        """A mistake in a preset names the file and the line, and often what was meant."""
        path = config(f"{text}\n")
        error = refused("gen", "a cat")
        assert error.startswith((f"error: Line {line} of {path}: ", f"error: Line {line} of {path} holds"))
        assert "\x1b" not in error
        for part in told.split("|"):
            assert part in error

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("wodcut", "has no such preset.|Did you mean woodcut?"),
            ("\x1b[2Jx", "has no such preset.|Its presets are woodcut, night, draft."),
        ],
    )
    def test_an_unknown_name(self, name: str, told: str, presets: Path, refused: Refused) -> None:
        """An unknown preset is an error that knows the others."""
        error = refused("gen", "a cat", "--preset", "woodcut", "--preset", name)
        assert "\x1b" not in error
        for part in (*told.split("|"), str(presets)):
            assert part in error

    def test_no_file(self, refused: Refused) -> None:
        """Without a file there is no preset, and the error says how to get one."""
        assert "create it with `imgcli config init`" in refused("gen", "a cat", "--preset", "woodcut")

    @pytest.mark.usefixtures("presets")
    def test_an_empty_prompt(self, refused: Refused) -> None:
        """A template makes no prompt of nothing."""
        assert "The prompt is empty." in refused("gen", "", "--preset", "woodcut")

    def test_a_word_elsewhere_is_not_blamed(self, config: Config, refused: Refused) -> None:
        """A key that stands twice is the mistake, not the `preset` of a command."""
        config('force = true\nforce = true\n[gen]\npreset = "x"\n[preset.x]\nquality = "low"\n')
        assert "default-preset" not in refused("gen", "a cat")


class TestConfig:
    """`imgcli config` and Tab know presets."""

    @pytest.mark.usefixtures("presets")
    def test_show(self, imgcli: Cli) -> None:
        """`config show` lists every preset with its line, and what one would change."""
        lines = imgcli("config", "show", "--changed", "--preset", "woodcut").lines
        assert "preset woodcut, selected by --preset" == lines[1]
        assert ["size", "preset", "woodcut", "line", "3", "portrait"] in [line.split() for line in lines]
        start = lines.index("presets")
        assert [
            ["woodcut", "line", "1", '"a', "woodcut"],
            ["night", "line", "5", '"at', "night:"],
            ["draft", "line", "8", "quality", "low,"],
        ] == [line.split()[:5] for line in lines[start + 1 :]]
        shown = json.loads(imgcli("config", "show", "--json").stdout)["presets"]
        draft = {"name": "draft", "line": 8, "prompt": None, "options": {"quality": "low", "size": "square"}}
        assert draft == shown[2]
        assert "a woodcut of {prompt}, black ink" == shown[0]["prompt"]

    @pytest.mark.parametrize(
        ("args", "added"),
        [
            (["preset.woodcut.quality", "high"], '[preset.woodcut]\nquality = "high"\n'),
            (["quality", "high", "--preset", "woodcut"], '[preset.woodcut]\nquality = "high"\n'),
            (["prompt", "a {prompt}", "--preset", "x"], '[preset.x]\nprompt = "a {prompt}"\n'),
            (["profile.gw.model", "m"], '[profile.gw]\nmodel = "m"\n'),
            (["view.width", "9"], "[view]\nwidth = 9\n"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_set(self, args: list[str], added: str, config: Config, imgcli: Cli) -> None:
        """`config set` makes and changes presets, with an option or with a dotted name."""
        path = config("# mine\n")
        done = imgcli("config", "set", *args)
        assert (0, f"# mine\n\n{added}") == (done.exit_code, path.read_text()), done.stderr

    def test_set_what_is_there(self, presets: Path, imgcli: Cli) -> None:
        """A value of a preset changes in its place, and a default preset goes to the top of the file."""
        assert 0 == imgcli("config", "set", "preset.woodcut.quality", "high").exit_code
        assert 0 == imgcli("config", "set", "default-preset", "night", "draft").exit_code
        changed = PRESETS.replace('"low"', '"high"', 1)
        assert f'default-preset = ["night", "draft"]\n{changed}' == presets.read_text()

    @pytest.mark.parametrize(
        ("args", "told"),
        [
            (["preset.woodcut.prompt", "x"], "Nothing was written: the template lacks {prompt}"),
            (["preset.woodcut.base-url", "http://x"], "base-url belongs to one server"),
            (["preset", "woodcut"], 'default-preset = "NAME"'),
            (["default-preset", "wodcut"], "Did you mean woodcut?"),
            (["quality", "low", "--preset", ""], "--preset needs a name."),
            (["quality", "low", "--preset", "a", "--profile", "b"], "cannot be combined"),
            (["preset.quality", "low"], "unknown option preset.quality"),
            (["preset.a b.quality", "low"], '"a b" cannot be the name of a preset'),
            (["preset.woodcut.api-key", "abcdef"], "Keys and passwords do not belong"),
        ],
    )
    def test_set_what_cannot_be(self, args: list[str], told: str, presets: Path, imgcli: Cli) -> None:
        """What would break a preset is refused, and the file stays as it is."""
        done = imgcli("config", "set", *args)
        assert (2, PRESETS) == (done.exit_code, presets.read_text())
        assert told in done.stderr

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion(self, shell: str, config: Config, world: dict[str, str], folder: Path) -> None:
        """Tab offers the presets of the file, after the first one too, and no name that a shell would run."""
        config(f'{PRESETS}[preset."$(touch RAN)"]\nquality = "low"\n')
        words = "imgcli gen --preset night --preset "
        told = {
            "_IMGCLI_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": words,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        done = zygote.run(
            zygote.IMGCLI,
            PATIENCE,
            env=world | told,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        offered = done.stdout.decode()
        assert all(name in offered for name in ("woodcut", "night", "draft")), done
        assert "RAN" not in offered
