"""`config set` and `config edit`: a file that people write in by hand stays theirs."""

from __future__ import annotations

import stat
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imgcli.cli.config.file import example

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli

    Config = Callable[..., Path]

FILE = """\
# mine
model = "gpt-image-2"  # the good one
size    =   "16:9"

# Defaults for one command.
# [view]
# width = 60

[profile.gw]
base-url = "http://localhost:1/v1"

# [profile.play]
# demo = true
"""


@pytest.fixture
def config(world: dict[str, str]) -> Config:
    """Write the configuration file, and give its path."""

    def write(text: str, encoding: str = "utf-8") -> Path:
        path = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    ("args", "old", "new"),
    [
        (["model", "gpt-6-luna"], 'model = "gpt-image-2"  #', 'model = "gpt-6-luna"  #'),
        (["size", "square"], 'size    =   "16:9"', 'size    =   "square"'),
        (["partials", "2"], '"16:9"\n', '"16:9"\npartials = 2\n'),
        (["max-cost", "0.25"], '"16:9"\n', '"16:9"\nmax-cost = 0.25\n'),
        (["max-cost", "off"], '"16:9"\n', '"16:9"\nmax-cost = "off"\n'),
        (["force", "true"], '"16:9"\n', '"16:9"\nforce = true\n'),
        (["image", "a b.png", "c.png"], '"16:9"\n', '"16:9"\nimage = ["a b.png", "c.png"]\n'),
        (["default-profile", "gw"], '"16:9"\n', '"16:9"\ndefault-profile = "gw"\n'),
        (
            ["key-command", "pass", "show", "gw", "--profile", "gw"],
            '1/v1"\n',
            '1/v1"\nkey-command = ["pass", "show", "gw"]\n',
        ),
        (["key-env", "GW_KEY", "--profile", "gw"], '1/v1"\n', '1/v1"\nkey-env = "GW_KEY"\n'),
        (["width", "9", "--command", "view"], "# demo = true\n", "# demo = true\n\n[view]\nwidth = 9\n"),
        (["demo", "true", "--profile", "a b"], "= true\n", '= true\n\n[profile."a b"]\ndemo = true\n'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
@pytest.mark.parametrize(
    "ends", ["\n", pytest.param("\r\n", marks=pytest.mark.slow)], ids=["unix", "windows"]
)
def test_one_value_and_nothing_else(
    ends: str, args: list[str], old: str, new: str, imgcli: Cli, config: Config
) -> None:
    """One value changes, or stands where its table ends; comments, spaces, line ends and mode stay."""
    path = config(FILE.replace("\n", ends))
    path.chmod(0o640)
    done = imgcli("config", "set", *args)
    assert (0, b"", "") == (done.exit_code, done.stdout, done.stderr)
    expected = FILE.replace(old, new, 1)
    assert expected.replace("\n", ends) == path.read_bytes().decode()
    assert (0o640, ["config.toml"]) == (
        stat.S_IMODE(path.stat().st_mode),
        [one.name for one in path.parent.iterdir()],
    )
    assert 0 == imgcli("config", "show").exit_code


def test_line_ends_of_windows(imgcli: Cli, config: Config) -> None:
    """A file whose lines end as on Windows keeps those ends, in the new line too."""
    path = config("# mine\r\n")
    assert 0 == imgcli("config", "set", "quality", "low").exit_code
    assert b'quality = "low"\r\n# mine\r\n' == path.read_bytes()


def test_the_first_value(imgcli: Cli, world: dict[str, str]) -> None:
    """Without a file there is one afterwards, private, with the value beside its example."""
    assert 0 == imgcli("config", "set", "quality", "low").exit_code
    path = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    assert (
        example().replace('# quality = "low"\n', '# quality = "low"\nquality = "low"\n') == path.read_text()
    )
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_link_stays_one(imgcli: Cli, config: Config, folder: Path) -> None:
    """A file kept elsewhere, as dotfiles are, is changed there, and its byte order mark stays."""
    path = config("")
    kept = folder / "kept.toml"
    kept.write_bytes(b'\xef\xbb\xbfquality = "high"\n')
    path.unlink()
    path.symlink_to(kept)
    assert 0 == imgcli("config", "set", "quality", "low").exit_code
    assert (True, b'\xef\xbb\xbfquality = "low"\n') == (path.is_symlink(), kept.read_bytes())


def test_several_lines_stay_one_value(imgcli: Cli, config: Config) -> None:
    """A value of several lines before the new one stays whole."""
    path = config('image = [\n  "a.png",\n]\n')
    assert 0 == imgcli("config", "set", "quality", "low").exit_code
    assert {"image": ["a.png"], "quality": "low"} == tomllib.loads(path.read_text())


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["qualty", "low"], "unknown option qualty."),
        (["quality", "hihg"], "Did you mean high?"),
        (["partials", "many"], "partials must be a whole number."),
        (["partials", "1.5"], "partials must be a whole number."),
        (["force", "maybe"], "force must be true or false."),
        (["size", "16", "9"], "size accepts one value, not 2."),
        (["default-profile", "nobody"], "there is no [profile.nobody]."),
        (["key-env", "GW_KEY"], "Put it under a [profile.NAME]."),
        (["headers", "x"], "Set it with imgcli config edit."),
        (["width", "9", "--command", "veiw"], "Did you mean view?"),
        (["width", "9", "--command", "view", "--profile", "gw"], "cannot be combined"),
        (["width", "9", "--profile", ""], "--profile needs a name."),
        (["speed", "2", "--command", "gen"], "gen has no option speed"),
        (["api-key", "canary"], "Keys and passwords do not belong"),
        (["model", "sk-canary-0123456789abcdef"], "Keys and passwords do not belong"),
        (["base-url", "https://me:canary@example.org"], "Keys and passwords do not belong"),
        (["key-env", "canary", "--profile", "gw"], "must be the name of an environment variable"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
@pytest.mark.parametrize("text", [FILE, pytest.param(None, marks=pytest.mark.slow)], ids=["a file", "none"])
def test_what_would_not_read_is_not_written(
    text: str | None, args: list[str], told: str, imgcli: Cli, config: Config
) -> None:
    """2: what is no option, no value, or a secret, is told without repeating it, and changes no file."""
    path = config(text or "")
    if text is None:
        path.unlink()
    done = imgcli("config", "set", *args)
    assert (2, b"", True) == (done.exit_code, done.stdout, told in done.stderr), done.stderr
    assert "canary" not in done.stderr
    assert text == (path.read_text() if path.exists() else None)


def test_a_broken_file_is_left_alone(imgcli: Cli, config: Config) -> None:
    """2: a file that does not read is not written to either; its own fault is told."""
    for text, told in (("qualty = 1\n", "Line 1 of"), ("[\n", "is not valid TOML")):
        path = config(text)
        done = imgcli("config", "set", "quality", "low")
        assert (2, text, True) == (done.exit_code, path.read_text(), told in done.stderr)


def test_a_broken_value_is_mended(imgcli: Cli, config: Config) -> None:
    """A value that does not read is set like any other, and the file reads then."""
    path = config('quality = "hihg"\n')
    assert 0 == imgcli("config", "set", "quality", "high").exit_code
    assert 'quality = "high"\n' == path.read_text()


def test_no_file_can_be_written(imgcli: Cli, mortal: Cli, config: Config) -> None:
    """12: a folder that takes no file, and a device, are told; what was there stays."""
    path = config(FILE)
    path.parent.chmod(0o500)
    done = mortal("config", "set", "quality", "low")
    path.parent.chmod(0o700)
    assert (12, FILE) == (done.exit_code, path.read_text()), done.stderr
    done = imgcli("config", "set", "quality", "low", env={"IMGCLI_CONFIG": "/dev/null"})
    assert (12, True) == (done.exit_code, Path("/dev/null").is_char_device()), done.stderr


def editor(folder: Path, code: str) -> str:
    """Write an editor: Python that finds the file as `path`."""
    script = folder / "my editor.py"
    script.write_text(f"import sys, pathlib\npath = pathlib.Path(sys.argv[-1])\n{code}\n")
    return f"{sys.executable} '{script}' --wait"


@pytest.mark.parametrize("variables", [["VISUAL"], ["EDITOR"], ["VISUAL", "EDITOR"]], ids=" ".join)
def test_edit(variables: list[str], imgcli: Cli, config: Config, folder: Path) -> None:
    """`config edit` opens $VISUAL, else $EDITOR, with its options, on the file as it is."""
    path = config(FILE)
    told = editor(folder, "path.write_text(path.read_text().replace('16:9', '4:3'))")
    done = imgcli("config", "edit", env={"EDITOR": "false"} | {variables[0]: told})
    assert (0, "") == (done.exit_code, done.stderr)
    assert FILE.replace("16:9", "4:3") == path.read_text()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("path.write_text('qualty = 1')", "unknown option qualty."),
        ("path.write_text('[')", "is not valid TOML"),
        ("sys.exit(3)", "exited with status 3."),
    ],
)
def test_an_edit_that_went_wrong(code: str, told: str, imgcli: Cli, folder: Path) -> None:
    """2: what is wrong with the file is said when the editor ends; the file began as the example."""
    seen = folder / "seen"
    done = imgcli(
        "config",
        "edit",
        env={"EDITOR": editor(folder, f"pathlib.Path({str(seen)!r}).write_text(path.read_text())\n{code}")},
    )
    assert (2, True) == (done.exit_code, told in done.stderr), done.stderr
    assert example() == seen.read_text()


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"EDITOR": "no-such-editor"}, "no-such-editor cannot be started: No such file or directory."),
        ({"VISUAL": "'"}, "VISUAL is not a valid command"),
        ({"PATH": ""}, "No editor was found."),
    ],
)
def test_no_editor(env: dict[str, str], told: str, imgcli: Cli) -> None:
    """2: an editor that is not there is told, with the variables that name one."""
    done = imgcli("config", "edit", env=env)
    assert (2, True) == (done.exit_code, told in done.stderr), done.stderr


def test_changed(imgcli: Cli, config: Config) -> None:
    """`config show --changed` has the values that are not built in, also as JSON; else it says so."""
    assert "All values are built in." in imgcli("config", "show", "--changed").lines
    config(FILE)
    done = imgcli("config", "show", "--changed", env={"IMGCLI_MODEL": "gpt-6-luna"})
    rows = [line.split()[:2] for line in done.lines if line.startswith("  ")]
    assert [["model", "environment"], ["size", "file"]] == rows
