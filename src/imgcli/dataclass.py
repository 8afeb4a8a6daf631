"""A `dataclass` decorator like the standard one, but faster: each class is built when first used.

There, each method of each class is a text that is compiled: half a millisecond for a class, and a command
imports a hundred of them and uses a third. Here, only `__init__` is, once somebody makes an instance.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - the very same to whoever reads types
    from functools import cached_property as cached_property  # noqa: PLC0414 - likewise

    Methods = dict[str, Callable[..., Any] | None]
else:

    def dataclass(
        cls: type | None = None, /, *, frozen: bool = False, kw_only: bool = False
    ) -> type | Callable[[type], type]:
        """Return a class, or a decorator of one, as `dataclasses.dataclass` does."""

        def decorate(cls: type) -> type:
            unbuilt = UnbuiltFields(cls, is_frozen=frozen, kw_only=kw_only)
            cls.__init__, cls.__dataclass_fields__ = unbuilt.first_init(), unbuilt
            return cls

        return decorate if cls is None else decorate(cls)

    class cached_property:  # noqa: N801 - called like a function
        """A property that is worked out once for each instance.

        That of Python 3.11 has one lock for all instances: no two images could be decoded at a time.
        """

        def __init__(self, method: Callable[[Any], Any]) -> None:
            self._method, self.__doc__ = method, method.__doc__

        def __get__(self, instance: Any, _owner: type) -> Any:  # noqa: ANN401 - as the method returns
            if instance is None:
                return self
            value = instance.__dict__[self._method.__name__] = self._method(instance)
            return value


_BUILDING = RLock()  # threads may make the first instances of a class at the same time


class UnbuiltFields:
    """Stands where a class has its fields, until these or a first instance are asked for."""

    def __init__(self, cls: type, *, is_frozen: bool, kw_only: bool) -> None:
        self._cls, self._is_frozen, self._kw_only = cls, is_frozen, kw_only

    def __get__(self, _instance: object, _owner: type) -> dict[str, Any]:
        with _BUILDING:
            if vars(self._cls).get("__dataclass_fields__") is self:
                self._build()
        return self._cls.__dataclass_fields__  # type: ignore[attr-defined,no-any-return]

    def first_init(self) -> Callable[..., None]:
        """Return an `__init__` that builds the class, and runs the real one."""

        def init(instance: object, /, *args: object, **values: object) -> None:
            self.__get__(None, self._cls)
            self._cls.__init__(instance, *args, **values)  # type: ignore[misc]

        return init

    def _build(self) -> None:
        cls = self._cls
        dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=self._kw_only)(cls)
        fields = dataclasses.fields(cls)
        methods = _comparing(fields, is_frozen=self._is_frozen) | {"__repr__": _representing(fields)}
        methods |= _freezing(cls, fields) if self._is_frozen else {}
        for name, method in methods.items():
            if vars(cls).get(name) is None:  # a method that the class has itself stays
                setattr(cls, name, method)
        cls.__init__ = _init(cls, fields)  # type: ignore[misc]  # the last: before it, others wait


def _init(cls: type, fields: Sequence[dataclasses.Field[Any]]) -> Callable[..., None]:
    """Return the method that sets the fields. One without `init` is left to its default, or to the class."""
    names: dict[str, Any] = {"__MISSING": dataclasses.MISSING}
    parameters: dict[bool, list[str]] = {False: [], True: []}  # True for keywords
    body = ["__values = self.__dict__"]
    for one in fields:
        name, default, value = one.name, f"__default_{one.name}", one.name
        names[default] = one.default
        if one.default_factory is not dataclasses.MISSING:
            names[factory := f"__factory_{name}"] = one.default_factory
            value = f"{factory}() if {name} is __MISSING else {name}" if one.init else f"{factory}()"
        elif not one.init:
            continue
        body.append(f"__values[{name!r}] = {value}")
        if one.init:
            is_needed = one.default is one.default_factory  # neither is there
            parameters[bool(one.kw_only)].append(name if is_needed else f"{name}={default}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    by_name = ["*", *parameters[True]] if parameters[True] else []
    head = f"def __init__({', '.join(['self', *parameters[False], *by_name])}):"
    exec("\n  ".join([head, *body]), names)  # noqa: S102 - as the standard library does it
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _comparing(fields: Sequence[dataclasses.Field[Any]], *, is_frozen: bool) -> Methods:
    """Return the methods that compare instances by their fields; what can change has no hash."""
    names = [one.name for one in fields if one.compare]
    values = attrgetter(*names) if names else type

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        return bool(values(self) == values(other)) if type(self) is type(other) else NotImplemented

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(values(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if is_frozen else None}


def _representing(fields: Sequence[dataclasses.Field[Any]]) -> Callable[..., str]:
    """Return the method that writes an instance as it is made."""
    names = [one.name for one in fields if one.repr]

    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _freezing(cls: type, fields: Sequence[dataclasses.Field[Any]]) -> Methods:
    """Return the methods that refuse to change a field."""
    names = {one.name for one in fields}

    def __setattr__(self: object, name: str, value: object) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self: object, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}
