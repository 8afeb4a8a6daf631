"""Take the README's pictures: python docs/screenshots.py.

Real commands in a real terminal (kitty, on a virtual screen), against the stand-in. Needs Debian's xvfb,
kitty, imagemagick and fonts-dejavu-core.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw

DOCS = Path(__file__).resolve().parent
SIZE = (760, 860)
MOMENTS = 3
MOMENTS_COLOURS = 500
A_LOT = 1.2  # mean difference of grey levels
PROMPT = "a lighthouse at dusk, long exposure"
SHELL = f"""
printf '\\033[1;32m$\\033[0m imgcli gen "{PROMPT}" --demo\\n'
"{sys.executable}" -m imgcli gen "{PROMPT}" --demo --width 60 2>&1
sleep 60
"""


def shoot(display: str, file: Path) -> Image.Image:
    """Photograph the virtual screen."""
    subprocess.run(["import", "-display", display, "-window", "root", str(file)], check=True)
    with Image.open(file) as image:
        return image.convert("RGB")


def moments(folder: Path) -> list[Image.Image]:
    """Run the command in a terminal and photograph it while the picture sharpens."""
    display = f":{90 + os.getpid() % 9}"
    env = {
        **os.environ,
        "DISPLAY": display,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
    }
    for name in ("NO_COLOR", "CI", "OPENAI_BASE_URL"):
        env.pop(name, None)
    screen = subprocess.Popen(
        ["Xvfb", display, "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24"], stderr=subprocess.DEVNULL
    )
    time.sleep(1.5)
    window = subprocess.Popen(terminal(SHELL), env=env, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        return watch(display, folder, window)
    finally:
        window.terminate()
        window.wait()
        screen.terminate()
        screen.wait()


def terminal(script: str) -> list[str]:
    """Start kitty over the whole virtual screen."""
    settings = {
        "initial_window_width": SIZE[0],
        "initial_window_height": SIZE[1],
        "remember_window_size": "no",
        "font_family": "DejaVu Sans Mono",
        "font_size": "10.5",
        "background": "#16161e",
        "window_padding_width": "6",
        "update_check_interval": "0",
    }
    options = [argument for name, value in settings.items() for argument in ("-o", f"{name}={value}")]
    return ["kitty", "--config", "NONE", *options, "bash", "-c", script]


def watch(display: str, folder: Path, window: subprocess.Popen[bytes]) -> list[Image.Image]:
    """Collect a picture whenever the screen has changed a lot: each partial, then the end."""
    seen: list[Image.Image] = []
    before: list[int] | None = None
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and window.poll() is None:
        shot = shoot(display, folder / "shot.png")
        small = list(shot.resize((64, 64)).convert("L").tobytes())
        changed = (
            before is None or sum(abs(a - b) for a, b in zip(small, before, strict=True)) / len(small) > A_LOT
        )
        if changed:
            seen.append(shot)
        before = small
        if (
            list(folder.glob("*.png"))
            and len(list(folder.glob("*.png"))) > 1
            and not changed
            and len(seen) > MOMENTS
        ):
            break
        time.sleep(0.15)
    time.sleep(0.5)
    return [*seen, shoot(display, folder / "shot.png")]


def colours(picture: Image.Image) -> int:
    """Count the colours of a photograph: text alone has few."""
    return len(picture.resize((128, 128)).getcolors(128 * 128) or ())


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Put moments side by side."""
    gap = 10
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    strip = Image.new("RGB", (width, max(picture.height for picture in pictures)), "white")
    ImageDraw.Draw(strip)
    left = 0
    for picture in pictures:
        strip.paste(picture, (left, 0))
        left += picture.width + gap
    return strip


def main() -> None:
    """Take the pictures and write docs/live.png."""
    with tempfile.TemporaryDirectory() as name:
        seen = moments(Path(name))
    final = seen[-1]
    rough = [
        shot for shot in seen[:-1] if colours(shot) > MOMENTS_COLOURS and shot.tobytes() != final.tobytes()
    ]
    chosen = [rough[0], rough[len(rough) // 2]]
    strip = beside([*chosen, final]).quantize(256, dither=Image.Dither.NONE)
    strip.save(DOCS / "live.png", optimize=True)


if __name__ == "__main__":
    main()
