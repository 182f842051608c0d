"""`python -m cardpose` is `cardpose`."""

from cardpose.cli.main import main

main()
