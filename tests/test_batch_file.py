"""Batch files as people and spreadsheets write them, and what is said of wrong ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.batch_file import LONGEST_LINE, BatchFileError, BatchRow, Faults, read_rows
from imgcli.core.errors import ImgcliError
from tables import each


def read(data: bytes | str, ending: str = "") -> list[BatchRow]:
    """Read rows; raises what is wrong."""
    faults = Faults("rows")
    rows = read_rows(data if isinstance(data, bytes) else data.encode(), "rows", ending, faults)
    faults.check()
    return rows


def cells(data: bytes | str, ending: str = "") -> list[dict[str, object]]:
    """Read what rows hold, without their lines."""
    return [row.cells for row in read(data, ending)]


def refusal(data: bytes | str, ending: str = "") -> str:
    """Return what is said of a file: the sentences, the summary and the advice."""
    with pytest.raises(ImgcliError) as caught:
        read(data, ending)
    problem = caught.value.problem
    faults = caught.value.faults if isinstance(caught.value, BatchFileError) else ()
    return "\n".join([*faults, problem.what, problem.advice])


def test_plain_text() -> None:
    """Each line is a prompt; blank lines and comments are skipped, and lines keep their numbers."""
    text = "\ufeff# mine\r\n\r\n  a cat \r\n#no\na dog, {wet} # not a comment"
    assert [
        BatchRow(3, {"prompt": "a cat"}),
        BatchRow(5, {"prompt": "a dog, {wet} # not a comment"}),
    ] == read(text, ".txt")


def test_json_lines() -> None:
    """Each line is an object; what is null or empty is not set; other types stay."""
    text = (
        '{"prompt": "a\\ncat", "size": null, "id": ""}\n\n{"prompt": "고양이", "image": ["a.png"], "n": 2}\n'
    )
    assert [
        BatchRow(1, {"prompt": "a\ncat"}),
        BatchRow(3, {"prompt": "고양이", "image": ["a.png"], "n": 2}),
    ] == read(text, ".jsonl")


def test_csv_of_a_spreadsheet() -> None:
    """BOM, CRLF, quotes, a comma and a line break in quotes, Korean, empty cells, an empty last column."""
    text = '\ufeffprompt,size,\r\n"a ""big"" cat, at\r\nnight",16:9,\r\n\r\n고양이,,\r\nshort\r\n'
    assert [
        BatchRow(2, {"prompt": 'a "big" cat, at\nnight', "size": "16:9"}),
        BatchRow(5, {"prompt": "고양이"}),
        BatchRow(6, {"prompt": "short"}),
    ] == read(text.encode(), ".csv")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_csv_of_other_countries(delimiter: str) -> None:
    """Semicolons and tabs separate cells where the header has them."""
    text = f"prompt{delimiter}size\n1,5 cats{delimiter}16:9\n"
    assert [{"prompt": "1,5 cats", "size": "16:9"}] == cells(text, ".csv")


@given(st.lists(st.text().map(str.strip).filter(lambda text: "\0" not in text and text), min_size=1))
def test_json_lines_lose_nothing(prompts: list[str]) -> None:
    """Whatever text is written as JSON Lines comes back, one row each."""
    data = "\n".join(json.dumps({"prompt": prompt}) for prompt in prompts)
    assert prompts == [row["prompt"] for row in cells(data, ".jsonl")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"prompt": "a"}', {"prompt": "a"}),
        ("prompt,animal\na,b", {"prompt": "a", "animal": "b"}),
        ("animal;Prompt\na;b", {"animal": "a", "Prompt": "b"}),
        ("a cat, a dog", {"prompt": "a cat, a dog"}),
        ("{a cat}", {"prompt": "{a cat}"}),
        ("[a cat]", {"prompt": "[a cat]"}),
        ("a prompt", {"prompt": "a prompt"}),
    ],
)
def test_the_format_of_standard_input(text: str, expected: dict[str, str]) -> None:
    """Without a telling name the first line says which format it is."""
    assert [expected] == cells(text)


@each(
    ("data", "ending", "said"),
    [
        (b"", ".txt", "rows is empty"),
        (b"\xef\xbb\xbf\r\n", ".csv", "rows is empty"),
        (b"# only\n", ".txt", "has no prompts"),
        (b"prompt,size\n", ".csv", "has a header and no rows"),
        (b"a\ncaf\xe9\n", ".txt", "Line 2 of rows: This is not UTF-8"),
        ("a cat".encode("utf-16"), ".txt", "UTF-16"),
        (b"a\nb\0", ".txt", "Line 2 of rows: There is a NUL"),
        (b"x" * (LONGEST_LINE + 1), ".txt", "longer than 1,048,576"),
        (b'{"prompt": "' + b"x" * LONGEST_LINE + b'"}', ".jsonl", "Line 1 of rows: The line is longer"),
        (b'prompt\n"' + b"x" * 200_000 + b'"\n', ".csv", "Line 2 of rows: A cell is longer"),
        (b'{"prompt": "a"\n', ".jsonl", "Line 1 of rows: This is not valid JSON"),
        (b'{"prompt": "a"}\n{"prompt": "b",}\n', ".jsonl", "Line 2 of rows: This is not valid JSON"),
        (b'["a"]\n', ".jsonl", "jq -c '.[]'"),
        (b'[\n{"prompt": "a"}]\n', "", "jq -c '.[]'"),
        (b'"a cat"\n', ".jsonl", "not a JSON object"),
        (b"a cat\n", ".jsonl", "not valid JSON"),
        (b"[" * 100_000, ".jsonl", "nested too deeply"),
        (b'{"prompt": "a", "prompt": "b"}', ".jsonl", "The key prompt appears twice"),
        (b"prompt,size,size\na,b,c\n", ".csv", "Line 1 of rows: The header has the column size twice"),
        (b"prompt\na cat, at night\n", ".csv", "Put quotes around"),
        (b"prompt,\na,b\n", ".csv", "its column has no name"),
        (b'prompt\n"a cat\nb\n', ".csv", "Line 2 of rows: A quoted text starts here"),
        (b'prompt\na\n"a" cat\n', ".csv", "Line 3 of rows: The quotes are wrong"),
    ],
)
def test_wrong_files(data: bytes, ending: str, said: str) -> None:
    """What is wrong is a sentence with the line, or about the whole file."""
    assert said in refusal(data, ending)


def test_several_errors_at_once() -> None:
    """The first ten errors are shown together, with the number of all of them."""
    said = refusal('{"prompt": "a"}\n' + "{\n" * 12, ".jsonl")
    assert "rows has 12 errors, the first on line 2." in said
    assert "Line 11 of rows" in said
    assert "Line 12 of rows" not in said


def test_a_file_of_another_kind_is_not_read_to_its_end() -> None:
    """After a thousand errors the rest is not looked at."""
    assert "at least 1,000 errors" in refusal("{\n" * 5000, ".jsonl")
