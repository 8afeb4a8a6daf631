"""The configuration's text: what it says, in which line, and what is wrong with it."""

from __future__ import annotations

import tomllib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.config import Config, HttpHeader, OptionType, Profile, ServerSettings, Setting, ValueType
from imgcli.core.config_reader import read_config
from imgcli.core.errors import ExitCode, ImgcliError
from imgcli.core.key_lines import key_lines
from imgcli.core.secrets import is_key_name, is_variable_name, looks_like_key
from tables import each

SCHEMA = {
    "gen": {
        "model": OptionType(ValueType.TEXT),
        "quality": OptionType(ValueType.TEXT, ("low", "medium", "high")),
        "partials": OptionType(ValueType.INTEGER),
        "timeout": OptionType(ValueType.NUMBER),
        "keep-partials": OptionType(ValueType.BOOLEAN),
        "base-url": OptionType(ValueType.TEXT),
        "output": OptionType(ValueType.PATH),
        "max-cost": OptionType(ValueType.DOLLARS),
        "reference": OptionType(ValueType.LIST),
    },
    "view": {"width": OptionType(ValueType.INTEGER)},
}
AZURE = """\
model = "gpt-image-2"   # for every command

[profile.azure]
base-url = "https://res.openai.azure.com/openai/v1/"
key-env = "AZURE_KEY"
headers = { x-deployment = "art", "api-key" = "env:AZURE_KEY" }
partials = 0

[view]
width = 40
"""


def read(text: str) -> Config:
    """Read a configuration whose name is F."""
    return read_config(text, SCHEMA, "F")


def refused(text: str) -> str:
    """Read a configuration that must be refused, and give the sentences."""
    with pytest.raises(ImgcliError) as caught:
        read(text)
    assert ExitCode.USAGE is caught.value.problem.exit_code
    return f"{caught.value.problem.what} {caught.value.problem.advice}"


def test_what_a_file_says() -> None:
    """Defaults, a command's table and a profile are read with their lines."""
    azure = Profile(
        "azure",
        3,
        {
            "base-url": Setting("base-url", "https://res.openai.azure.com/openai/v1/", 4, "profile.azure"),
            "partials": Setting("partials", 0, 7, "profile.azure"),
        },
        ServerSettings(
            "azure",
            key_env="AZURE_KEY",
            headers=(HttpHeader("x-deployment", "art"), HttpHeader("api-key", "", "AZURE_KEY")),
        ),
    )
    expected = Config(
        {"model": Setting("model", "gpt-image-2", 1)},
        {"view": {"width": Setting("width", 40, 10, "view")}},
        {"azure": azure},
    )
    assert expected == read(AZURE)


def test_an_empty_file_says_nothing() -> None:
    """Comments alone change nothing."""
    assert Config() == read("# nothing yet\n")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('quality = "low"', "low"),
        ("partials = 3", 3),
        ("timeout = 20", 20.0),
        ("timeout = 2.5", 2.5),
        ("keep-partials = true", True),
        ("max-cost = 0.05", "0.05"),
        ('max-cost = "$0.05"', "$0.05"),
        ("max-cost = 1", "1"),
        ('reference = ["a.png"]', ["a.png"]),
        ('"model" = "x"', "x"),
    ],
)
def test_values_of_every_kind(line: str, value: object) -> None:
    """A value arrives as its option takes it."""
    (setting,) = read(line).settings.values()
    assert value == setting.value


@each(
    ("text", "told"),
    [
        ('\nqualty = "low"', "Line 2 of F: unknown option qualty. Did you mean quality?"),
        (
            "keep_partials = true",
            "Line 1 of F: unknown option keep_partials. Did you mean keep-partials?",
        ),
        ("[view]\nmodel = 'x'", "Line 2 of F: view has no option model."),
        ("[veiw]\nwidth = 3", "Line 1 of F: unknown option veiw. Did you mean view?"),
        ("[profiles.azure]\nmodel = 'x'", "Line 1 of F: unknown option profiles. Did you mean profile?"),
        ("[profile.a]\nmodle = 'x'", "Line 2 of F: unknown option modle. Did you mean model?"),
        ("[profile.a]\nkey_env = 'X'", "Line 2 of F: unknown option key_env. Did you mean key-env?"),
        (
            'quality = "hihg"',
            "Line 1 of F: quality must be one of low, medium, high, not hihg. Did you mean high?",
        ),
        ("quality = 3", 'Line 1 of F: quality must be text in quotes, such as "this".'),
        ("partials = true", "Line 1 of F: partials must be a whole number."),
        ("partials = 1.5", "Line 1 of F: partials must be a whole number."),
        ('partials = "3"', "Line 1 of F: partials must be a whole number."),
        ('timeout = "3"', "Line 1 of F: timeout must be a number."),
        ('keep-partials = "yes"', "Line 1 of F: keep-partials must be true or false."),
        ("keep-partials = 1", "Line 1 of F: keep-partials must be true or false."),
        ("output = ['a']", "Line 1 of F: output must be a path in quotes."),
        ("reference = 3", 'Line 1 of F: reference must be a list such as ["this", "that"].'),
        ("max-cost = false", "Line 1 of F: max-cost must be an amount in dollars."),
        ("model.name = 'x'", 'Line 1 of F: model must be text in quotes, such as "this".'),
        ('profile = "azure"', 'Name the default profile as default-profile = "NAME".'),
        ('a = 1\nprofile = "x"\n[profile.x]', "Line 2 of F: TOML does not allow a key `profile`"),
        ('default-profile = "azur"\n[profile.azure]', "there is no [profile.azur]. Did you mean azure?"),
        ("default-profile = 3", "Line 1 of F: default-profile must be text in quotes"),
        ("[profile]\nazure = 'x'", "Line 2 of F: azure is a table. Write [profile.azure]."),
        ("key-env = 'X'", "Line 1 of F: key-env belongs to one server. Put it under a [profile.NAME]."),
        ("[headers]\nx = 'y'", "Line 1 of F: headers belongs to one server."),
        (
            "[profile.a]\nkey-env = 'my-key'",
            "Line 2 of F: key-env must be the name of an environment variable",
        ),
        ("billed = false", "Line 1 of F: billed belongs to one server. Put it under a [profile.NAME]."),
        ("[profile.a]\nbilled = 'no'", "Line 2 of F: billed must be true or false"),
        ("[profile.a]\nbilled = 0", "Line 2 of F: billed must be true or false"),
        ("[profile.a]\nbilled = false", "Line 2 of F: billed = false applies to one server"),
        ("[profile.a]\nkey-env = 3", "Line 2 of F: key-env must be the name of an environment variable"),
        ("[profile.a]\nkey-command = 'pass'", "Line 2 of F: key-command must be a program and its arguments"),
        ("[profile.a]\nkey-command = []", "Line 2 of F: key-command must be a program and its arguments"),
        ("[profile.a]\nkey-command = ['a', 1]", "Line 2 of F: key-command must be a program"),
        ("[profile.a]\nkey-file = 'key'", "Line 2 of F: key-file must be a whole path"),
        ("key-file = '/key'", "Line 1 of F: key-file belongs to one server."),
        (
            "[profile.a]\nkey-env = 'K'\nkey-file = '/key'",
            "Line 3 of F: key-env and key-file both say where the key is. Keep one of them.",
        ),
        ("[profile.a]\nheaders = 'x'", "Line 2 of F: headers is a table. Write [profile.a.headers]."),
        ("[profile.a.headers]\nx = 3", "Line 2 of F: the header x must be a line of ASCII text in quotes."),
        ('[profile.a.headers]\nx = "a\\nb"', "Line 2 of F: the header x must be a line of ASCII text"),
        ('[profile.a.headers]\n"a b" = "x"', "Line 2 of F: a b is not a header that can be set."),
        ('[profile.a.headers]\nHost = "x"', "Line 2 of F: Host is not a header that can be set."),
        (
            '[profile.a.headers]\nx = "env:a b"',
            "Line 2 of F: the header x does not name an environment variable.",
        ),
        ("model = gpt", "F is not valid TOML: Invalid value (at line 1, column 9)."),
        ("model = 'a'\nmodel = 'b'", "F is not valid TOML: Cannot overwrite a value (at line 2"),
        ("[profile.a", "F is not valid TOML"),
        ("model = " + "[" * 5000, "F is"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    """Whatever is wrong in a file: its line, what fits there, and what was probably meant."""
    assert told in refused(text)


SECRET = "AbCdEf0123456789"


@each(
    ("text", "line"),
    [
        (f'model = "sk-{SECRET}"', 1),
        (f'\n# OPENAI_API_KEY=sk-proj-{SECRET}\nmodel = "x"', 2),
        (f'broken = \nx = "sk-{SECRET}"', 2),
        (f'api-key = "{SECRET}"', 1),
        (f'key = "{SECRET}"', 1),
        (f'OPENAI_API_KEY = "{SECRET}"', 1),
        (f'[profile.a]\ntoken = "{SECRET}"', 2),
        (f'[profile.a]\nkey-env = "sk-{SECRET}"', 2),
        (f'[profile.a]\nheaders = {{ Authorization = "{SECRET}" }}', 2),
        (f'[profile.a.headers]\nX-Api-Key = "{SECRET}"', 2),
        (f'[profile.a.headers]\nOcp-Apim-Subscription-Key = "{SECRET}"', 2),
        (f'[profile.a.headers]\nx-login = "Bearer {SECRET}"', 2),
        (f'[profile.a.headers]\nx-login = "bearer  {SECRET}"', 2),
        (f'[profile.a.headers]\nx-login = "Basic {SECRET}=="', 2),
        (f'[profile.a.headers]\nx-login = "{SECRET}{SECRET}"', 2),
        (f'base-url = "https://me:{SECRET}@example.org/v1"', 1),
        (f'base-url = "https://{SECRET}@example.org/v1"', 1),
        (f'base-url = "https://example.org/v1?api-key={SECRET}"', 1),
        (f'reference = ["a.png", "sk-{SECRET}"]', 1),
        (f'sk-{SECRET} = "x"', 1),
        (f"[profile.sk-{SECRET}]", 1),
        (f'"\\u0073k-{SECRET}" = "x"', 1),
        (f'model = "x"\n[profile.a]\nsk-{SECRET} = 1', 3),
    ],
)
def test_a_key_is_refused_and_not_repeated(text: str, line: int) -> None:
    """A key or password anywhere in the file is told by its line alone, with where it belongs."""
    told = refused(text)
    assert f"Line {line} of F holds a key or password" in told
    assert "key-env" in told
    assert SECRET not in told


@pytest.mark.parametrize(
    "value",
    ["gpt-image-2", "https://res.openai.azure.com/openai/v1/", "task-force.png", "~/Pictures/", "@home"],
)
def test_ordinary_values_are_no_keys(value: str) -> None:
    """What people write as values passes."""
    assert not looks_like_key(value)


def test_names_of_keys_and_variables() -> None:
    """A name that holds a key is known by its ending; a variable by its capitals."""
    assert [True, True, False, False] == [is_key_name(n) for n in ("Key", "my_token", "key-env", "monkey")]
    assert [True, False, False, False] == [is_variable_name(n) for n in ("MY_KEY", "my_key", "", "3X")]


LINES = [
    ("a = 1\n\n[t]\nb = 2", {("a",): 1, ("t",): 3, ("t", "b"): 4}),
    ('x = """\n[no]\ny = 1\n"""\nz = 2', {("x",): 1, ("z",): 5}),
    ("x = '''\na = 1'''\nz = 2", {("x",): 1, ("z",): 3}),
    ("x = [\n 1, # ]\n 2,\n]\nz = 2", {("x",): 1, ("z",): 5}),
    ('x = "a = # [b"\nz = 2', {("x",): 1, ("z",): 2}),
    ("x = { a = 1, b = 2 }\nz = 2", {("x",): 1, ("z",): 2}),
    ("# c = 3\n\n  a.b = 1", {("a",): 3, ("a", "b"): 3}),
    ('["x y".z] # t\n"q=" = 1', {("x y",): 1, ("x y", "z"): 1, ("x y", "z", "q="): 2}),
    ("", {}),
]


@pytest.mark.parametrize(("text", "lines"), LINES)
def test_lines_of_keys(text: str, lines: dict[tuple[str, ...], int]) -> None:
    """Each key's line is found, through strings, lists and comments over several lines."""
    tomllib.loads(text)
    assert lines == key_lines(text)


@given(st.text("ab=[]{}\"'#\n\\., 1", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever stands in the file, it is read or refused with a sentence."""
    with suppress(ImgcliError):
        read(text)
