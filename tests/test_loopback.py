"""Whether a server is on this machine: it gets no key then, and no proxy comes between."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.secrets import is_gateway, is_loopback
from streams import whole_run
from tables import each
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result
    from wire import ScriptedServer

ANY = "0.0.0.0"  # noqa: S104 - nothing listens there
OURS = [
    *(
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1",
        "127.255.255.254",
        "127.1",
        "127.0.1",
    ),
    *("0x7f.1", "0X7F.0.0.1", "0177.0.0.1", "2130706433", "0x7f000001", ANY, "0", "0x0"),
    *("::1", "0:0:0:0:0:0:0:1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:0.0.0.0"),
]
OTHERS = [
    *("", ".", "127", "128.1", "126.255.255.255", "0127.0.0.1", "0.0.0.1", "127.0.0.0.1", "127.0.0.256"),
    *("127.1.example", "127..1", "-127.1", "0x", "0x7g.1", "08.1", "4294967296", "99999999999999999999"),
    *("::2", "::ffff:128.0.0.1", "fe80::1", "::127.0.0.1", "localhost.example.org", "127.0.0.1.example.org"),
    *("127.1.", "127.1\\n", "api.openai.com"),
]


@each(("host", "expected"), [*((one, True) for one in OURS), *((one, False) for one in OTHERS)])
def test_by_spelling(host: str, expected: bool) -> None:  # noqa: FBT001 - what is expected
    """Every spelling by which the system reaches this machine counts, and nothing beside."""
    assert expected is is_loopback(host)


@given(
    st.lists(
        st.sampled_from(["127", "0", "1", "0x7f", "0177", "255", "256", "65536", "08", "x", ""]), max_size=5
    )
)
def test_as_the_system_reads_it(parts: list[str]) -> None:
    """What the system takes for 127.0.0.1 or its like is this machine, and nothing else is."""
    host = ".".join(parts)
    try:
        packed = socket.inet_aton(host)
    except OSError:
        assert not is_loopback(host)
    else:
        assert (packed[0] == 127 or packed == bytes(4)) is is_loopback(host)


@pytest.mark.parametrize("host", [ANY, "127.1", "[::ffff:127.0.0.1]"])
def test_it_gets_no_key(host: str, server: Callable[..., ScriptedServer], gen: Callable[..., Result]) -> None:
    """However this machine is written, its server is asked without OPENAI_API_KEY and around the proxy."""
    peer = server(Reply(whole_run()))
    env = {"OPENAI_BASE_URL": f"http://{host}:{peer.port}/v1", "HTTP_PROXY": "http://127.0.0.1:9"}
    result = gen(peer, "a cat", env=env)
    assert 0 == result.exit_code, result.stderr
    assert "Bearer local" == peer.requests[0].headers["authorization"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("api.openai.com", False),
        ("API.OpenAI.com.:443", False),
        ("eu.api.openai.com", False),
        ("my-resource.openai.azure.com", False),
        ("my-resource.services.ai.azure.com:443", False),
        ("127.0.0.1:4000", True),
        ("litellm.example.org", True),
        ("api.openai.com.example.org", True),
        ("notapi.openai.com", True),
        ("litellm.westeurope.cloudapp.azure.com", True),
        ("", True),
        ("[", True),
    ],
)
def test_a_gateway(place: str, *, expected: bool) -> None:
    """Only OpenAI's and Azure's own servers are known to stream; what stands before them may not."""
    assert expected == is_gateway(place)
