"""The commands `cardpose label ...`: from fresh recordings to labels."""

import argparse
from pathlib import Path

from cardpose.errors import InputError, shown

MODEL = Path("models/cardpose.safetensors")


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
    start.add_argument(
        "--model", type=Path, default=MODEL, metavar="FILE", help=f"the network (default: {MODEL})"
    )
    start.add_argument("--threads", type=_number, metavar="N", help="use so many processor cores")
    start.set_defaults(run=_start, failed=1)
    following = commands.add_parser(
        "next",
        help="say which frames are most worth to be labelled now",
        description="Say which frames are most worth to be labelled now, the most worth first, and"
        " write them to labelling/next.csv. Recordings take turns, those with the fewest labels"
        " first; of their frames comes that which is least like those before it, and most"
        " doubtful.",
    )
    following.add_argument("dataset", metavar="DATASET", help="a folder below data/, or any folder")
    following.add_argument(
        "-n", type=_number, default=40, metavar="N", help="so many (default: 40)"
    )
    following.set_defaults(run=_next, failed=1)


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
    folder = dataset_folder(chosen.dataset)
    if chosen.model.suffix != ".safetensors":
        raise InputError(f"{chosen.model}: should be a .safetensors file: proposing needs torch")
    if not chosen.model.exists():
        made = ": `make repro` makes it" if chosen.model == MODEL else ""
        raise InputError(f"{chosen.model}: there is no such file{made}")
    import torch

    from cardpose.proposals import labelling
    from cardpose.proposing import DOUBTFUL, start

    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    proposals, recordings = start(folder, chosen.model)
    doubtful = (proposals.confidence < DOUBTFUL).any(axis=1).sum()
    print(
        f"{len(proposals.frames)} frames of {recordings} recordings; {doubtful} surely need a look,"
        f" as a corner is doubtful: {labelling(folder) / 'proposals.csv'}"
    )


def _next(chosen):
    from cardpose.choosing import choose, read_candidates, reasons, write_next

    folder = dataset_folder(chosen.dataset)
    candidates = read_candidates(folder)
    rows = choose(candidates, chosen.n)
    write_next(folder, candidates, rows)
    if not rows:
        print("nothing is left: all frames have labels")
        return
    width = max(len(candidates.frames[row]) for row in rows)
    print(f"{'frame':{width}}  why")
    for row, why in zip(rows, reasons(candidates, rows), strict=True):
        print(f"{candidates.frames[row]:{width}}  {why}")


def _number(text):
    """An argument's type: a whole number above 0."""
    if text.isascii() and text.isdigit() and 0 < int(text) <= 1_000_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"should be a whole number above 0 (got {shown(text)})")
