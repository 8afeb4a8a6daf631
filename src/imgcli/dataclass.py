"""`dataclass` as the standard library has it, but built when it is first used.

Building one takes half a millisecond; a command imports a hundred, and uses a third of them.
"""

from __future__ import annotations

import dataclasses
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - the very same to whoever reads types
else:

    def dataclass(cls: type | None = None, /, **options: bool) -> type | Callable[[type], type]:
        """Return a class, or a decorator of one, as `dataclasses.dataclass` does; there are no `slots`."""

        def decorate(cls: type) -> type:
            unbuilt = UnbuiltFields(cls, options)
            cls.__init__, cls.__dataclass_fields__ = unbuilt.first_init(), unbuilt
            return cls

        return decorate if cls is None else decorate(cls)


_BUILDING = RLock()  # threads may make the first instances of a class at the same time
_OURS = {"__init__", "__dataclass_fields__"}
_OF_ANY_CLASS = {"__dict__", "__weakref__"}


class UnbuiltFields:
    """Stands where a class has its fields, until these or a first instance are asked for."""

    def __init__(self, cls: type, options: dict[str, bool]) -> None:
        self.cls, self.options = cls, options

    def __get__(self, _instance: object, _owner: type) -> dict[str, Any]:
        with _BUILDING:
            if vars(self.cls).get("__dataclass_fields__") is self:
                self._build()
        return self.cls.__dataclass_fields__  # type: ignore[attr-defined,no-any-return]

    def first_init(self) -> Callable[..., None]:
        """Return an `__init__` that builds the class, and runs the real one."""

        def init(instance: object, /, *args: object, **values: object) -> None:
            self.__get__(None, self.cls)
            self.cls.__init__(instance, *args, **values)  # type: ignore[misc]

        return init

    def _build(self) -> None:
        """Build a twin and move its methods here: at no time can another thread call half a class."""
        own = {name: value for name, value in vars(self.cls).items() if name not in _OURS | _OF_ANY_CLASS}
        twin: type = type(self.cls)(self.cls.__name__, self.cls.__bases__, own)
        built = dict(vars(dataclasses.dataclass(**self.options)(twin)))
        for name in own.keys() - built.keys():  # fields without a default
            delattr(self.cls, name)
        for name in built.keys() - _OF_ANY_CLASS - {"__init__"}:
            if name not in own or own[name] is not built[name]:
                setattr(self.cls, name, built[name])
        self.cls.__init__ = built["__init__"]  # type: ignore[misc]  # the last: before it, others wait
