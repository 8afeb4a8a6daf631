"""Templates: what is a placeholder, what stays as it is, and how values are combined and picked."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.app.batch.variables import expand_prompt, parse_variables
from imgcli.core.errors import ImgcliError
from imgcli.core.template import Template, Variable, parse_variable
from imgcli.store.publish.naming import FIELDS

ANIMAL = Variable("animal", ("cat", "dog"))
PLACE = Variable("place", ("Rome", "Oslo"))


def expanded(prompt: str, *variables: Variable, seed: str = "0") -> list[str]:
    """Return the prompts that one stands for."""
    return [one.prompt for one in expand_prompt(prompt, None, variables, seed)]


def refusal(prompt: str, *variables: Variable) -> str:
    """Return how a prompt is refused, with the advice."""
    with pytest.raises(ImgcliError) as caught:
        expanded(prompt, *variables)
    return f"{caught.value.problem.what} {caught.value.problem.advice}"


def filled(text: str, names: set[str]) -> str:
    """Fill a template with each name in capitals."""
    values = {name: name.upper() for name in names}
    return Template.parse(text, names).fill(values, lambda name, _: f"any {name}")


def test_an_output_name_keeps_its_braces() -> None:
    """Only in a prompt is `{{` a brace: an output name has its own fields, and stays as it is written."""
    assert "{{animal}}-{n}-CAT" == Template.parse("{{animal}}-{n}-{animal}", {"animal"}, {"n"}).fill(
        {"animal": "CAT"}, lambda *_: ""
    )


@given(st.text())
def test_a_text_without_declared_names_stays(text: str) -> None:
    """Where nothing is declared, a prompt is sent as it is, whatever it holds."""
    assert text == filled(text, set())


@given(st.text(alphabet=st.characters(exclude_characters="{")) | st.text(alphabet="}x|,:\"' \n"))
def test_a_text_without_braces_stays(text: str) -> None:
    """Where names are declared, a prompt that opens no brace is sent as it is."""
    assert text == filled(text, {"animal"})


@pytest.mark.parametrize(
    "text",
    [
        '{"subject": "a cat", "style": {"mood": "calm"}}',
        "body { color: red; }",
        "{}",
        "{ }",
        "{x",
        "{background}",
        "{1}",
        "a {very long word that is not a name and not like one at all, really}",
    ],
)
def test_json_is_left_alone(text: str) -> None:
    """Braces that hold no declared name, and nothing like one, are text."""
    assert f"{text} CAT" == filled(f"{text} {{cat}}", {"cat"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a {animal}", "a ANIMAL"),
        ("{animal}{animal}", "ANIMALANIMAL"),
        ("{ animal }", "ANIMAL"),
        ("{animal|choice}", "any animal"),
        ("{{animal}}", "{animal}"),
        ("{{animal}", "{animal}"),
        ("{{{animal}", "{ANIMAL"),
        ("{{", "{"),
        ('{"a": {"b": "{animal}"}}', '{"a": {"b": "ANIMAL"}}'),
        ("{색}", "색"),
    ],
)
def test_placeholders(text: str, expected: str) -> None:
    """Declared names are filled, in JSON too, and {{ is a brace."""
    assert expected == filled(text, {"animal", "색"})


def test_a_name_typed_on_another_keyboard_is_the_same() -> None:
    """A name in decomposed letters, as macOS writes them, is the composed one."""
    assert "any e" == Template.parse("any {cafe\u0301}", {"caf\u00e9"}).fill(
        {"caf\u00e9": "e"}, lambda *_: ""
    )


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("a {animl}", "{animal}"),
        ("a {animals}", "{animal}"),
        ("a {Animal}", "{animal}"),
        ("a {anim}", "{animal}"),
    ],
)
def test_a_typo_is_found(prompt: str, meant: str) -> None:
    """A name that is almost a declared one is an error that says what was meant, and how to send the text."""
    said = refusal(prompt + " {animal}", ANIMAL)
    assert f"Did you mean {meant}?" in said
    assert "write {{" in said


def test_only_choice_follows_a_name() -> None:
    """What follows a declared name and a bar is checked."""
    assert "|choice" in refusal("a {animal|chioce}", ANIMAL)


def test_an_unused_variable_is_an_error() -> None:
    """A variable that no prompt uses was a typo, and nothing is sent."""
    assert "--var place is used by no prompt" in refusal("a {animal}", ANIMAL, PLACE)


def test_the_product_of_values() -> None:
    """Each combination of values is one image, the first name in the prompt changing slowest."""
    assert expanded("{place}: {animal}, {animal}", ANIMAL, PLACE) == [
        "Rome: cat, cat",
        "Rome: dog, dog",
        "Oslo: cat, cat",
        "Oslo: dog, dog",
    ]


def test_a_choice_is_repeatable() -> None:
    """The same seed picks the same values; another one others; every value has its turn."""
    many = Variable("place", tuple(map(str, range(50))))
    prompt = "a {animal} in {place|choice}, not in {place|choice}"
    assert expanded(prompt, ANIMAL, many, seed="7") == expanded(prompt, ANIMAL, many, seed="7")
    assert expanded(prompt, ANIMAL, many, seed="7") != expanded(prompt, ANIMAL, many, seed="8")
    picked = Counter(expanded("{animal|choice}", ANIMAL, seed=str(seed))[0] for seed in range(40))
    assert {"cat", "dog"} == picked.keys()


def test_a_choice_of_a_seed_never_changes() -> None:
    """What a seed picks is the same in every version: a batch that continues must not become another one."""
    assert ["c"] == expanded("{x|choice}", Variable("x", tuple("abcdef")), seed="1")


def test_an_output_name_takes_values_that_are_safe() -> None:
    """A value cannot lead a file out of its folder; the fields of a name stay for later."""
    found = expand_prompt(
        "{x}", "out/{x}-{n}-{date}.png", [Variable("x", ("../../etc/passwd", "A cat"))], "0"
    )
    assert ["out/etc-passwd-{n}-{date}.png", "out/a-cat-{n}-{date}.png"] == [one.output for one in found]
    (picked,) = expand_prompt("a cat", "out/{x|choice}.png", [Variable("x", ("../../etc",))], "0")
    assert "out/etc.png" == picked.output


def test_too_many_combinations() -> None:
    """A product of millions is refused at once, not computed."""
    values = tuple(map(str, range(2000)))
    assert "more than 1,000,000" in refusal("{x}{y}", Variable("x", values), Variable("y", values))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("animal=cat,dog", Variable("animal", ("cat", "dog"))),
        ("animal= cat , dog ", Variable("animal", ("cat", "dog"))),
        (r"place=Rome\, Italy,Oslo", Variable("place", ("Rome, Italy", "Oslo"))),
        ("x=a=b", Variable("x", ("a=b",))),
        ("색=빨강", Variable("색", ("빨강",))),
        ("x=@list", Variable("x", ("one, two", "three"))),
    ],
)
def test_variables(text: str, expected: Variable) -> None:
    r"""Values are split at commas, `\,` is a comma, and a file has one value a line."""
    assert expected == parse_variable(text, lambda _: ["one, two", "", " three "])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("animal", "must be name=value,value"),
        ("", "must be name=value,value"),
        ("=a", "must be name=value,value"),
        ("animal=", "no values"),
        ("animal=a,,b", "an empty value"),
        ("a{b=c", "no valid name"),
        ("a=b,b", "twice"),
        ("a=@", "no values"),
    ],
)
def test_wrong_variables(text: str, said: str) -> None:
    """A variable without name or values is an error that shows how it is written."""
    with pytest.raises(ImgcliError, match=said):
        parse_variable(text, lambda _: [])


@pytest.mark.parametrize("name", FIELDS)
def test_a_variable_cannot_be_a_field(name: str) -> None:
    """The fields of an output name win, so that no variable may have such a name."""
    with pytest.raises(ImgcliError, match="a field of -o"):
        parse_variables([f"{name}=a"])


def test_a_variable_is_given_once() -> None:
    """Two lists for one name are an error, because one of them would be lost."""
    with pytest.raises(ImgcliError, match="given twice"):
        parse_variables(["a=1", "a=2"])
