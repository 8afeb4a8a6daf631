"""Write the completion scripts anew: python completions/update.py.

They are Typer's own: each asks imgcli at every Tab, so that values (models, sizes) are always current.
"""

from __future__ import annotations

from pathlib import Path

from typer.completion import get_completion_script

FILES = {"bash": "imgcli.bash", "zsh": "_imgcli", "fish": "imgcli.fish", "powershell": "imgcli.ps1"}


def scripts() -> dict[str, str]:
    """Return each file's name and text."""
    return {
        name: get_completion_script(prog_name="imgcli", complete_var="_IMGCLI_COMPLETE", shell=shell).strip()
        + "\n"
        for shell, name in FILES.items()
    }


if __name__ == "__main__":
    for name, text in scripts().items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")
