"""The commands `cardpose label ...`: label new recordings."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from cardpose.cli.own_files import check_free, is_export
from cardpose.cli.shared import dataset_folder, dataset_parameters, positive
from cardpose.common.errors import InputError, print_line, quantity
from cardpose.inference.networks import MOST_THREADS

MODEL = Path("models/pretrained.safetensors")  # trained on the widest range of tables and decks
_FORMATS = ("label-studio", "coco", "csv")


def add_label_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands to the parser of `cardpose label`."""
    parser.description = "Label new recordings, with the network's help."
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable, help: str, description: str) -> argparse.ArgumentParser:
        """Add a subcommand whose first argument is the data set."""
        new = commands.add_parser(name, help=help, description=description)
        new.add_argument(
            "dataset", metavar="DATASET", help="name of a folder in data/, or path of a folder"
        )
        new.set_defaults(run=run, failed=1)
        return new

    _add_start(command)
    _add_next(command)
    _add_export(command)
    _add_studio(command)
    _add_import(command)


def _add_start(command: Callable) -> None:
    add = command(
        "start",
        _start,
        "extract the frames of a data set and propose their corners",
        "Extract the frames of a data set into its folder labelling/, and write proposed corners"
        " to labelling/proposals.csv.",
    ).add_argument
    add(
        "--model",
        type=Path,
        default=MODEL,
        metavar="FILE",
        help=f"file of the network (default: {MODEL})",
    )
    add("--threads", type=positive(int, MOST_THREADS), metavar="N", help="use N processor cores")


def _add_next(command: Callable) -> None:
    add = command(
        "next",
        _next,
        "choose the frames to label next, spread over the recordings",
        "Choose the frames to label next, and write them to labelling/next.csv. They are chosen at"
        " random among the frames without a label. Recordings take turns, and those with the fewest"
        " labels come first. The same frames and labels always give the same choice.",
    ).add_argument
    number = positive(int, 1_000_000)
    add("-n", type=number, default=40, metavar="N", help="number of frames (default: 40)")


def _add_export(command: Callable) -> None:
    add = command(
        "export",
        _export,
        "write frames and proposals for a labelling tool",
        "Write the unlabelled frames and their proposals for a labelling tool. For Label Studio,"
        " also write its labelling configuration.",
    ).add_argument
    add("format", metavar="FORMAT", choices=_FORMATS, help=f"one of {', '.join(_FORMATS)}")
    _add_selection(add)
    add("--output", type=Path, metavar="PATH", help="file to write (default: a file in labelling/)")
    add("--force", action="store_true", help="also overwrite a file that cardpose did not write")


def _add_studio(command: Callable) -> None:
    add = command(
        "studio",
        _studio,
        "label in Label Studio, on this machine",
        "Run Label Studio on this machine, with the unlabelled frames and their proposals."
        " `make label-studio DATASET=...` installs it first.",
    ).add_argument
    _add_selection(add)
    add("--port", type=int, default=8080, metavar="N", help="port to listen on (default: 8080)")


def _add_selection(add: Callable) -> None:
    add("--next", action="store_true", help="only the frames of labelling/next.csv, in its order")
    add("--labelled", action="store_true", help="take labelled frames instead, to correct them")


def _add_import(command: Callable) -> None:
    add = command(
        "import",
        _import,
        "merge labels from a labelling tool into a data set",
        "Merge labels from Label Studio's JSON, COCO keypoints or CSV into the data set's"
        " annotations.csv. Existing labels stay unless --overwrite is given. All other rows stay.",
    ).add_argument
    add(
        "file",
        metavar="FILE",
        help="file from the tool, or address of the Label Studio that `make label-studio` runs",
    )
    add("--overwrite", action="store_true", help="replace existing labels that differ")
    add(
        "--accept-proposals",
        action="store_true",
        help="also import labels that equal their proposals, although the file does not say"
        " whether a person checked them",
    )


def _start(chosen: argparse.Namespace) -> None:
    folder = dataset_folder(chosen.dataset)
    if chosen.model.suffix != ".safetensors":
        raise InputError(f"{chosen.model}: should be a .safetensors file: proposing needs torch")
    if not chosen.model.exists():
        hint = ": it comes with the repository" if chosen.model == MODEL else ""
        raise InputError(f"{chosen.model}: there is no such file{hint}")
    import torch

    from cardpose.dataset.layout import labelling_folder
    from cardpose.labelling.propose import DOUBTFUL, start_labelling

    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    proposals, recordings = start_labelling(folder, chosen.model, *dataset_parameters())
    doubtful = (proposals.confidence < DOUBTFUL).any(axis=1).sum()
    print_line(
        f"{quantity(len(proposals.frames), 'frame')} of {quantity(recordings, 'recording')};"
        f" {doubtful} with a doubtful corner, to be looked at:"
        f" {labelling_folder(folder) / 'proposals.csv'}"
    )


def _next(chosen: argparse.Namespace) -> None:
    from cardpose.labelling.next_frames import draw_next, write_next

    folder = dataset_folder(chosen.dataset)
    drawn = draw_next(folder, chosen.n)
    write_next(folder, drawn)
    if not drawn:
        print_line("nothing is left: all frames have labels")
        return
    width = max(len(each.frame) for each in drawn)
    print_line(f"{'frame':{width}}  why")
    for frame, before in drawn:
        print_line(f"{frame:{width}}  {_reason(before)}")


def _reason(before: int) -> str:
    return f"{before} of its recording before it" if before else "first of its recording"


def _export(chosen: argparse.Namespace) -> None:
    import numpy as np

    from cardpose.dataset.layout import labelling_folder
    from cardpose.labelling.studio_format import served_folder
    from cardpose.labelling.task_export import CONFIGURATION, FORMATS, write_tasks
    from cardpose.labelling.tasks import choose_tasks

    folder = dataset_folder(chosen.dataset)
    tasks = choose_tasks(folder, chosen.next, chosen.labelled)
    path = chosen.output or labelling_folder(folder) / FORMATS[chosen.format]
    if os.path.realpath(path) == os.path.realpath(folder / "annotations.csv"):
        raise InputError(f"{path}: holds the labels, and would be overwritten; name another")
    if chosen.output:  # cardpose owns all files in labelling/
        check_free(path, is_export, chosen.force)
        if chosen.format == "label-studio":
            check_free(path.parent / CONFIGURATION, _is_configuration, chosen.force)
    write_tasks(tasks, chosen.format, path, served_folder(folder))
    proposed = int((~tasks.labelled & ~np.isnan(tasks.confidence).all(axis=1)).sum())
    what = "with their labels" if chosen.labelled else f"{proposed} with proposals"
    print_line(f"{path}: {quantity(len(tasks.frames), 'frame')}, {what}")
    if chosen.format == "label-studio":
        print_line(f"{path.parent / CONFIGURATION}: the labelling configuration")
    if chosen.format == "csv" and not chosen.labelled:
        print_line("write 1 into the column `annotated` of each row that you have looked at")


def _is_configuration(path: str | Path) -> bool:
    from cardpose.labelling.studio_format import configuration

    return Path(path).read_bytes() == configuration().encode()


def _studio(chosen: argparse.Namespace) -> None:
    from cardpose.labelling.studio_server import serve_studio
    from cardpose.labelling.tasks import choose_tasks

    folder = dataset_folder(chosen.dataset)
    tasks = choose_tasks(folder, chosen.next, chosen.labelled)
    serve_studio(folder, tasks, chosen.port, print_line)


def _import(chosen: argparse.Namespace) -> None:
    from cardpose.labelling.label_import import read_label_file, read_labels_json
    from cardpose.labelling.merge import merge_labels, merge_report
    from cardpose.labelling.studio_address import is_address
    from cardpose.labelling.studio_server import export_studio
    from cardpose.labelling.tasks import picture_sizes, sampled_frames_index
    from cardpose.labelling.untouched import as_proposed, without_untouched

    folder = dataset_folder(chosen.dataset)
    index = sampled_frames_index(folder)
    if is_address(chosen.file):
        labels = read_labels_json(chosen.file, export_studio(folder, chosen.file), index)
    else:
        labels = read_label_file(chosen.file, index)
    if not chosen.accept_proposals:
        labels = without_untouched(chosen.file, folder, labels)
    sizes = picture_sizes(labels.frames, index)
    merged = merge_labels(folder / "annotations.csv", labels, sizes, chosen.overwrite)
    proposed = int(as_proposed(folder, labels).sum())
    for line in merge_report(labels, merged, proposed, chosen.dataset):
        print_line(line)
