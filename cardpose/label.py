"""The commands `cardpose label ...`: from fresh recordings to labels."""

from pathlib import Path

from cardpose.errors import InputError


def add_arguments(parser):
    """Add the subcommands to the parser of `cardpose label`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    start = commands.add_parser(
        "start",
        help="extract a data set's frames and propose where the corners are",
        description="Extract the frames of a data set's recordings into its folder labelling/, and"
        " propose there where the corners are: labelling/proposals.csv.",
    )
    start.add_argument("dataset", metavar="DATASET", help="a folder below data/, or any folder")
    start.add_argument("--model", type=Path, metavar="FILE", help="the network that proposes")
    start.set_defaults(run=_start, failed=1)


def dataset_folder(name):
    """The folder of a data set, by its name below data/ or by its path.

    Raises:
        InputError: there is none.
    """
    for folder in (Path("data") / name, Path(name)):
        if folder.is_dir():
            return folder
    raise InputError(f"{name}: there is no such folder, neither here nor in data/")


def _start(chosen):
    raise NotImplementedError
