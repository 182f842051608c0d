"""Run the command `cardpose` as `python -m cardpose`."""

from cardpose.cli.main import main

main()
