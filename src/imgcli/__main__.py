"""Run imgcli with `python -m imgcli`."""

from imgcli.cli.app import main

main()
