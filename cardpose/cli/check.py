"""The command `cardpose check`."""

import csv
from pathlib import Path

import cv2
from tqdm import tqdm

from cardpose.cli import shared
from cardpose.cli.own_files import check_drawing, check_free, has_header, marked_png
from cardpose.cli.runner import complain
from cardpose.cli.shared import dataset_parameters, refuse_overwriting, text_output
from cardpose.common.files import atomic_output


def run_check(chosen):
    # torch takes seconds, and who only counts has none
    from cardpose.checking.findings import COLUMNS
    from cardpose.cli.check import report_findings

    folder = shared.dataset_folder(chosen.dataset)
    files = [Path(name) for name in (chosen.csv, chosen.sheet) if name not in (None, "-")]
    refuse_overwriting([folder / name for name in ("videos.csv", "annotations.csv")], files)
    if chosen.csv not in (None, "-"):
        check_free(chosen.csv, has_header(*COLUMNS), chosen.force)
    if chosen.sheet:
        check_drawing(chosen.sheet, chosen.force)
    return report_findings(folder, chosen.csv, chosen.sheet, complain, text_output)


def report_findings(dataset, table, drawn, complain, text_file):
    """Check a data set with the parameters of ./params.yaml, or with the usual ones where there
    are none, and say what was found.

    Args:
        dataset: its folder.
        table: CSV file to be written, "-" for stdout, None for none.
        drawn: PNG file to be written, with the worst frames, or None.
        complain: as for `check`, prints.
        text_file: opens `table`.

    Returns:
        0 where nothing looks wrong, 1 where something does, 2 where not all could be checked.
    """
    # Importing torch takes seconds, and the other commands do without it.
    from cardpose.checking.check import check
    from cardpose.checking.findings import COLUMNS, WRONG
    from cardpose.checking.report import MOST_DRAWN, as_table, worst_pictures

    unread = []

    def cannot(error):
        complain(error)
        unread.append(error)

    def progress(recordings):
        return tqdm(recordings, "check", unit="recording", leave=False, disable=None)

    found = check(dataset, *dataset_parameters(), cannot, progress)
    if table:
        with text_file(table) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([COLUMNS, *(one.row() for one in found)])
    if table != "-":
        print(as_table(found))
    if drawn:
        picture = worst_pictures(dataset, found, MOST_DRAWN)
        if picture is None:
            print(f"{drawn}: not written, as no label looks wrong")
        else:
            with atomic_output(drawn) as scratch:
                scratch.write_bytes(marked_png(cv2.imencode(".png", picture)[1].tobytes()))
    return 2 if unread else int(any(one.level == WRONG for one in found))
