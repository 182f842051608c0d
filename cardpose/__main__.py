"""`python -m cardpose` is `cardpose`."""

from cardpose.cli import main

main()
