"""The commands `cardpose label ...`: from fresh recordings to labels."""

import os
from pathlib import Path

from cardpose.cli.own_files import check_free, is_export
from cardpose.cli.shared import dataset_folder, dataset_parameters, positive
from cardpose.common.errors import InputError

MODEL = Path("models/pretrained.safetensors")  # it has seen the most looks
_FORMATS = ("label-studio", "coco", "csv")


def add_label_arguments(parser):
    """Add the subcommands to the parser of `cardpose label`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, help, description):
        """A new subcommand's `add_argument`; the first argument, the data set, is there."""
        new = commands.add_parser(name, help=help, description=description)
        new.add_argument("dataset", metavar="DATASET", help="a folder below data/, or any folder")
        new.set_defaults(run=run, failed=1)
        return new.add_argument

    add = command(
        "start",
        _start,
        "extract a data set's frames and propose where the corners are",
        "Extract the frames of a data set's recordings into its folder labelling/, and propose"
        " there where the corners are: labelling/proposals.csv.",
    )
    add("--model", type=Path, default=MODEL, metavar="FILE", help=f"the network (default: {MODEL})")
    add("--threads", type=positive(int, 1024), metavar="N", help="use so many processor cores")
    add = command(
        "next",
        _next,
        "say which frames are most worth to be labelled now",
        "Say which frames are most worth to be labelled now, the most worth first, and write them"
        " to labelling/next.csv. Recordings take turns, those with the fewest labels first; of"
        " their frames comes that which is least like those before it, and most doubtful.",
    )
    add("-n", type=positive(int, 1_000_000), default=40, metavar="N", help="so many (default: 40)")
    add = command(
        "export",
        _export,
        "write frames and proposals for a labelling tool",
        "Write the frames that have no label yet, and what is proposed of them, for a labelling"
        " tool. Of Label Studio, its labelling configuration is written beside them.",
    )
    add("format", metavar="FORMAT", choices=_FORMATS, help=", ".join(_FORMATS))
    add("--next", action="store_true", help="only those of labelling/next.csv, in its order")
    add("--labelled", action="store_true", help="those that have a label, to be corrected")
    add("--output", type=Path, metavar="PATH", help="the file (default: one in labelling/)")
    add("--force", action="store_true", help="write over a file that cardpose has not written, too")
    add = command(
        "studio",
        _studio,
        "label in Label Studio, on this machine",
        "Run Label Studio on this machine, with the frames that have no label yet, and what is"
        " proposed of them, in it. `make label-studio DATASET=...` installs it first.",
    )
    add("--next", action="store_true", help="only those of labelling/next.csv, in its order")
    add("--labelled", action="store_true", help="those that have a label, to be corrected")
    add("--port", type=int, default=8080, metavar="N", help="where it listens (default: 8080)")
    add = command(
        "import",
        _import,
        "take labels from a labelling tool",
        "Merge labels from Label Studio's JSON, COCO keypoints or CSV into the data set's"
        " annotations.csv. Labels that are there already stay, and other rows always do.",
    )
    what = "the tool's export, or the address of the Label Studio that `make label-studio` runs"
    add("file", metavar="FILE", help=what)
    add("--overwrite", action="store_true", help="replace labels that differ")
    what = "also take labels that are exactly as proposed, where the file does not say who saw them"
    add("--accept-proposals", action="store_true", help=what)


def _start(chosen):
    folder = dataset_folder(chosen.dataset)
    if chosen.model.suffix != ".safetensors":
        raise InputError(f"{chosen.model}: should be a .safetensors file: proposing needs torch")
    if not chosen.model.exists():
        made = ": it comes with the repository" if chosen.model == MODEL else ""
        raise InputError(f"{chosen.model}: there is no such file{made}")
    import torch

    from cardpose.dataset.layout import labelling_folder
    from cardpose.labelling.propose import DOUBTFUL, start

    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    proposals, recordings = start(folder, chosen.model, *dataset_parameters())
    doubtful = (proposals.confidence < DOUBTFUL).any(axis=1).sum()
    print(
        f"{len(proposals.frames)} frames of {recordings} recordings; {doubtful} surely need a look,"
        f" as a corner is doubtful: {labelling_folder(folder) / 'proposals.csv'}"
    )


def _next(chosen):
    from cardpose.labelling.rank import choose, read_candidates, reasons, write_next

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


def _export(chosen):
    import numpy as np

    from cardpose.dataset.layout import labelling_folder
    from cardpose.labelling import task_export

    folder = dataset_folder(chosen.dataset)
    sheet = task_export.choose_frames(folder, chosen.next, chosen.labelled)
    path = chosen.output or labelling_folder(folder) / task_export.FORMATS[chosen.format]
    if os.path.realpath(path) == os.path.realpath(folder / "annotations.csv"):
        raise InputError(f"{path}: holds the labels, and would be overwritten; name another")
    if chosen.output:  # what lies in labelling/ is ours
        check_free(path, is_export, chosen.force)
        if chosen.format == "label-studio":
            check_free(path.parent / task_export.CONFIGURATION, _is_configuration, chosen.force)
    task_export.write_tasks(sheet, chosen.format, path, task_export.served(folder))
    proposed = int((~sheet.labelled & ~np.isnan(sheet.confidence).all(axis=1)).sum())
    what = "with their labels" if chosen.labelled else f"{proposed} with proposals"
    print(f"{path}: {len(sheet.frames)} frames, {what}")
    if chosen.format == "label-studio":
        print(f"{path.parent / task_export.CONFIGURATION}: the labelling configuration")
    if chosen.format == "csv" and not chosen.labelled:
        print("write 1 into the column `annotated` of each row that you have looked at")


def _is_configuration(path):
    from cardpose.labelling.label_studio import configuration

    return path.read_bytes() == configuration().encode()


def _studio(chosen):
    from cardpose.labelling import studio_server, task_export

    folder = dataset_folder(chosen.dataset)
    sheet = task_export.choose_frames(folder, chosen.next, chosen.labelled)
    studio_server.serve_studio(folder, sheet, chosen.port, lambda line: print(line, flush=True))


def _import(chosen):
    from cardpose.labelling import addresses, label_import, studio_server, task_export
    from cardpose.labelling.merge import merge_labels, merge_report

    folder = dataset_folder(chosen.dataset)
    index = task_export.sampled_frames_index(folder)
    if addresses.is_address(chosen.file):
        content = studio_server.export_studio(folder, chosen.file)
        labels = label_import.read_labels_json(chosen.file, content, index)
    else:
        labels = label_import.read_labels(chosen.file, index)
    if not chosen.accept_proposals:
        labels = label_import.without_untouched(chosen.file, folder, labels)
    sizes = task_export.picture_sizes(labels.frames, index)
    merged = merge_labels(folder / "annotations.csv", labels, sizes, chosen.overwrite)
    proposed = int(label_import.as_proposed(folder, labels).sum())
    print("\n".join(merge_report(labels, merged, proposed, chosen.dataset)))
