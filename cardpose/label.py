"""The commands `cardpose label ...`: from fresh recordings to labels."""

from pathlib import Path

from cardpose.errors import InputError

_FORMATS = ("label-studio", "coco", "csv")


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
    export = commands.add_parser(
        "export",
        help="write frames and proposals for a labelling tool",
        description="Write the frames that have no label yet, and what is proposed of them, for a"
        " labelling tool. Of Label Studio, its labelling configuration is written beside them.",
    )
    add = export.add_argument
    add("dataset", metavar="DATASET", help="a folder below data/, or the path of a folder")
    add("format", metavar="FORMAT", choices=_FORMATS, help=", ".join(_FORMATS))
    add("--next", action="store_true", help="only those of labelling/next.csv, in its order")
    add("--labelled", action="store_true", help="those that have a label, to be corrected")
    add("--output", type=Path, metavar="PATH", help="the file (default: one in labelling/)")
    export.set_defaults(run=_export, failed=1)
    studio = commands.add_parser(
        "studio",
        help="label in Label Studio, on this machine",
        description="Run Label Studio on this machine, with the frames that have no label yet, and"
        " what is proposed of them, in it. `make label-studio DATASET=...` installs it first.",
    )
    add = studio.add_argument
    add("dataset", metavar="DATASET", help="a folder below data/, or the path of a folder")
    add("--next", action="store_true", help="only those of labelling/next.csv, in its order")
    add("--labelled", action="store_true", help="those that have a label, to be corrected")
    add("--port", type=int, default=8080, metavar="N", help="where it listens (default: 8080)")
    studio.set_defaults(run=_studio, failed=1)
    import_ = commands.add_parser(
        "import",
        help="take labels from a labelling tool",
        description="Merge labels from Label Studio's JSON, COCO keypoints or CSV into the data"
        " set's annotations.csv. Labels that are there already stay, and other rows always do.",
    )
    add = import_.add_argument
    add("dataset", metavar="DATASET", help="a folder below data/, or the path of a folder")
    add(
        "file",
        metavar="FILE",
        help="what the tool exported, or the address of the Label Studio that `make label-studio`"
        " runs",
    )
    add("--overwrite", action="store_true", help="replace labels that differ")
    import_.set_defaults(run=_import, failed=1)


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


def _export(chosen):
    import numpy as np

    from cardpose import exchange
    from cardpose.proposals import labelling

    folder = dataset_folder(chosen.dataset)
    sheet = exchange.choose(folder, chosen.next, chosen.labelled)
    path = chosen.output or labelling(folder) / exchange.FORMATS[chosen.format]
    if path.resolve() == (folder / "annotations.csv").resolve():
        raise InputError(f"{path}: holds the labels, and would be overwritten; name another")
    exchange.write(sheet, chosen.format, path, exchange.served(folder))
    proposed = int((~sheet.labelled & ~np.isnan(sheet.confidence).all(axis=1)).sum())
    what = "with their labels" if chosen.labelled else f"{proposed} with proposals"
    print(f"{path}: {len(sheet.frames)} frames, {what}")
    if chosen.format == "label-studio":
        print(f"{path.parent / exchange.CONFIGURATION}: the labelling configuration")
    if chosen.format == "csv" and not chosen.labelled:
        print("write 1 into the column `annotated` of each row that you have looked at")


def _studio(chosen):
    from cardpose import exchange, label_server

    folder = dataset_folder(chosen.dataset)
    sheet = exchange.choose(folder, chosen.next, chosen.labelled)
    label_server.serve(folder, sheet, chosen.port, lambda line: print(line, flush=True))


def _import(chosen):
    from cardpose import exchange, label_server
    from cardpose.merging import merge, report

    folder = dataset_folder(chosen.dataset)
    index = exchange.sampled(folder)
    if chosen.file.startswith("http://"):
        content = label_server.export(folder, chosen.file)
        labels = exchange.read_json(chosen.file, content, index)
    else:
        labels = exchange.read(chosen.file, index)
    sizes = exchange.sizes(labels.frames, index)
    merged = merge(folder / "annotations.csv", labels, sizes, chosen.overwrite)
    proposed = exchange.as_proposed(folder, labels)
    print("\n".join(report(labels, merged, proposed, chosen.dataset)))
