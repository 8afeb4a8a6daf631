"""Debian's Chromium, driven through its debugging pipe: what a page shows, and what keys do to it.

The protocol is Chrome's own (chromedevtools.github.io): JSON messages that end with a NUL, in on descriptor
3, out on 4. That is all a test needs of it, and nothing is to be installed but the browser.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

from beside import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium")

_KEYS = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Home": 36,
    "End": 35,
    "Escape": 27,
    "Enter": 13,
    "Tab": 9,
}
"""The keys that a test presses, with the codes that Windows gave them."""
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which root may not have, and a container often cannot
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Browser:
    """One window of a browser; use it with `with`.

    Of the page that is open: `requests` are the addresses that it asked for, `console` is what the browser
    had to say about it, `thrown` what its scripts did not catch.
    """

    def __init__(
        self, profile: Path, width: int = 1280, height: int = 800, flags: tuple[str, ...] = ()
    ) -> None:
        self.requests: list[str] = []
        self.console: list[str] = []
        self.thrown: list[str] = []
        self._last = 0
        self._session = ""
        self._rest = b""
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        assert CHROMIUM
        # A shell gives the pipes the numbers that the browser wants; they may have each other's now.
        script = f'exec {{in}}<&{commands} {{out}}>&{answers}; exec "$@" 3<&"$in" 4>&"$out"'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "chromium", CHROMIUM, *_FLAGS, *flags, f"--user-data-dir={profile}"],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._commands)  # upon which it ends
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            os.close(self._answers)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the protocol and return its result."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        rest = memoryview(json.dumps(message).encode() + b"\0")
        while rest:
            rest = rest[os.write(self._commands, rest) :]
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def open(self, address: str) -> None:
        """Load a page, and wait until its scripts have run."""
        self.call("Page.navigate", url="about:blank")
        self.requests.clear()
        self.console.clear()
        self.thrown.clear()
        self.call("Page.navigate", url=address)
        self.wait_for(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true."""
        until = time.monotonic() + PATIENCE
        while not (value := self.evaluate(expression)):
            assert not self.thrown, self.thrown  # then it will not happen any more
            assert time.monotonic() < until, f"never came true: {expression}"
            time.sleep(0.02)
        return value

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, as a person does; `Shift+Enter` is one of them."""
        for name in keys:
            modifier, _, key = name.rpartition("+")
            told: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
            told["modifiers"] = 8 if modifier == "Shift" else 0
            text = {"text": "\r"} if key == "Enter" else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def write(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def compose(self, text: str) -> None:
        """Begin a text that an input method is still composing."""
        self.call("Input.imeSetComposition", text=text, selectionStart=len(text), selectionEnd=len(text))

    def named(self, roles: set[str]) -> list[str]:
        """List what a screen reader says of everything in these roles: the role, then the name."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        told = [[node.get(key, {}).get("value", "") for key in ("role", "name")] for node in nodes]
        return [
            " ".join(one)
            for one, node in zip(told, nodes, strict=True)
            if one[0] in roles and not node["ignored"]
        ]

    def resize(self, width: int, height: int, scale: float = 1, *, is_phone: bool = False) -> None:
        """Give the page so many CSS pixels, each `scale` dots wide."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=is_phone,
        )

    def prefer(self, scheme: str) -> None:
        """Have the user prefer a `light` or a `dark` color scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path) -> None:
        """Save what is in the window as a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = os.read(self._answers, 1 << 20)
            assert data, "the browser has ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event.get("method") == "Log.entryAdded":
            self.console.append(params["entry"]["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.thrown.append(str(params["exceptionDetails"]))
