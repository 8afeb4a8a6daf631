"""Importing the OpenAI SDK's client without its generated types.

`import openai` loads some 470 modules of types, which are most of a run's own time; the client, its `post`
and its exceptions need one of them. So the packages that would load the rest stand in `sys.modules` without
having run while the client is imported, and are taken away afterwards: a later `import openai` is whole and
finds the same client. Where the SDK is laid out in another way, it is imported as usual.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from openai import OpenAI


_PACKAGES = ("openai", "openai.lib", "openai.types", "openai.types.shared")
"""What `openai._client` imports from, in 3.54 to 3.57: the packages whose own code loads everything else."""


def import_client(packages: Sequence[str] = _PACKAGES) -> type[OpenAI]:
    """Return the SDK's client class; import as little as possible for it.

    The first call is for one thread alone; later ones find what it left.
    """
    if client := sys.modules.get("openai._client"):
        return cast("type[OpenAI]", client.OpenAI)
    if "openai" not in sys.modules:
        try:
            with _not_run(packages):
                return cast("type[OpenAI]", importlib.import_module("openai._client").OpenAI)
        except (ImportError, AttributeError):
            _forget()
    from openai import OpenAI

    return OpenAI


@contextmanager
def _not_run(packages: Sequence[str]) -> Iterator[None]:
    """Allow submodules of packages to be imported without running the packages themselves."""
    try:
        for name in packages:
            spec = importlib.util.find_spec(name)
            if spec is None:
                raise ModuleNotFoundError(name=name)
            sys.modules[name] = importlib.util.module_from_spec(spec)
        yield
    finally:
        for name in packages:
            sys.modules.pop(name, None)


def _forget() -> None:
    """Undo half an import, so that it starts anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "openai"]:
        del sys.modules[name]
