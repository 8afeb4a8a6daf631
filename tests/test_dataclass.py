"""A dataclass of ours: the standard library's, built when it is first used."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, field, fields, replace
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

import pytest

from imgcli.dataclass import cached_property, dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Kind = tuple[type, type, type, type]


def kinds(dataclass: Callable[..., Callable[[type], type]]) -> Kind:
    """Declare classes: a base, one with everything, one that can be changed, one without fields."""

    @dataclass(frozen=True)
    class Base:
        name: str
        hidden: str = field(default="", repr=False, compare=False)

    @dataclass(frozen=True)
    class Whole(Base, Generic[T]):
        items: list[int] = field(default_factory=list)
        _: dataclasses.KW_ONLY
        late: int = field(default=3, init=False)
        only: int = 4
        own: dict[str, int] = field(default_factory=dict, init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "late", len(self.items))

        @cached_property
        def total(self) -> int:
            return sum(self.items)

        def __str__(self) -> str:
            return super().__str__()[-1]

    @dataclass()
    class Mutable:
        count: int = 0

        def __repr__(self) -> str:
            return "mine"

    @dataclass(frozen=True)
    class Empty:  # noqa: PLW1641 - it is frozen: its hash is made
        """Has no fields, and compares as it likes."""

        def __eq__(self, other: object) -> bool:
            return other == 0

    return Base, Whole, Mutable, Empty


def described(kinds: Kind) -> list[object]:
    """List what can be seen of the classes."""
    base, whole, mutable, empty = kinds
    one, other = whole("a", "b", [1, 2], only=5), whole("a")
    changed = replace(one, name="c")
    number = mutable(1)
    number.count += 1
    return [
        *map(repr, (one, other, changed, base("x"), number)),
        one == whole("a", "z", [1, 2], only=5),
        (
            one == other,
            one == base("a"),
            base("a") == base("a", "b"),
            hash(base("a")) == hash(base("a", "b")),
        ),
        (number == mutable(2), mutable.__hash__, one.total, str(one)),
        [(one.name, one.init, one.repr) for one in fields(whole)],
        *(getattr(whole, name, None) for name in ("__match_args__", "items", "hidden", "__qualname__")),
        dataclasses.is_dataclass(whole),
        dataclasses.asdict(one),
        (empty() == 0, empty() == empty(), repr(empty()), hash(empty()) == hash(empty())),
    ]


def test_it_is_the_standard_one() -> None:
    """A dataclass compares, prints, inherits, replaces and lists fields as the standard library's does."""
    assert described(kinds(dataclass)) == described(kinds(dataclasses.dataclass))


@pytest.mark.parametrize("wrong", [((), {}), (("a", "b", [], 4, 5), {}), (("a",), {"unknown": 1})], ids=str)
def test_wrong_arguments_are_refused(wrong: tuple[tuple[object, ...], dict[str, object]]) -> None:
    """A first instance with missing, too many or unknown arguments fails as every later one does."""
    _, whole, *_ = kinds(dataclass)
    for _ in range(2):
        with pytest.raises(TypeError, match="argument"):
            whole(*wrong[0], **wrong[1])


def test_frozen_is_frozen() -> None:
    """A frozen instance, the first one too, cannot be changed."""
    base, *_ = kinds(dataclass)
    with pytest.raises(FrozenInstanceError):
        base("a").name = "b"


def test_fields_are_known_before_the_first_instance() -> None:
    """The fields of a class, those that it inherits too, can be listed before any instance is made."""
    assert [one.name for one in fields(kinds(dataclass)[1])] == [
        "name",
        "hidden",
        "items",
        "late",
        "only",
        "own",
    ]


def test_threads_may_make_the_first_instances_together() -> None:
    """Threads that make the first instances of a class at the same time get whole ones."""
    for _ in range(20):
        whole, begin, made = kinds(dataclass)[1], Barrier(4), list[object]()

        def make(whole: type = whole, begin: Barrier = begin, made: list[object] = made) -> None:
            begin.wait()
            made.append(whole("a", "b", [1]))

        threads = [Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made == [whole("a", "b", [1])] * 4


def test_two_instances_work_out_a_property_at_the_same_time() -> None:
    """A cached property is worked out once for each instance, and for two of them side by side."""
    both = Barrier(2, timeout=30)

    @dataclass(frozen=True)
    class Image:
        name: str

        @cached_property
        def seen(self) -> int:
            """Wait until the other instance is here too."""
            return both.wait()

    images = Image("a"), Image("b")
    threads = [Thread(target=lambda one=one: one.seen) for one in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.seen for one in images) == [0, 1]  # remembered: nobody else would come
