"""The command `cardpose check`."""

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import cv2
from tqdm import tqdm

from cardpose.cli.own_files import check_drawing, check_free, has_header, marked_png
from cardpose.cli.shared import (
    FORCE_HELP,
    STDOUT,
    dataset_folder,
    dataset_parameters,
    output_files,
    output_name,
    print_error,
    refuse_overwriting,
    spreadsheet_text,
    text_output,
)
from cardpose.common.errors import print_line
from cardpose.common.files import atomic_output


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List likely faults of a data set, the worst first: labels that fit no packet, swapped"
        " names, wrong counts, copied recordings. Exit status 0: nothing looks wrong; 1: something"
        " looks wrong; 2: some recording could not be checked."
    )
    parser.set_defaults(run=run_check, failed=2)
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="name of a folder in data/, or path of a folder")
    add(
        "--csv",
        type=output_name,
        metavar="FILE",
        help="write one row per finding; - for stdout; a text that begins with = + - or @ gets a '"
        " in front, so that no spreadsheet computes it",
    )
    add("--sheet", type=Path, metavar="FILE", help="draw the worst labels into this PNG file")
    add("--force", action="store_true", help=FORCE_HELP)


def run_check(chosen: argparse.Namespace) -> int:
    """Check a data set and print the findings.

    Returns:
        Exit status: 0 if nothing looks wrong, 1 if something looks wrong, 2 if a recording cannot
        be checked.
    """
    # Imported here because pandas and torch take seconds to import; other commands skip them.
    from cardpose.checking.check import check
    from cardpose.checking.findings import COLUMNS, WRONG
    from cardpose.checking.report import as_table

    folder = dataset_folder(chosen.dataset)
    refuse_overwriting(
        [folder / name for name in ("videos.csv", "annotations.csv")],
        output_files(chosen.csv, chosen.sheet),
    )
    if output_files(chosen.csv):
        check_free(chosen.csv, has_header(*COLUMNS), chosen.force)
    if chosen.sheet:
        check_drawing(chosen.sheet, chosen.force)

    unread: list[Exception] = []

    def report_unread(error: Exception) -> None:
        print_error(error)
        unread.append(error)

    def progress(recordings: Iterable) -> Iterable:
        return tqdm(recordings, "check", unit="recording", leave=False, disable=None)

    findings = check(folder, *dataset_parameters(), report_unread, progress)
    if chosen.csv:
        with text_output(chosen.csv) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for finding in findings:
                writer.writerow(spreadsheet_text(str(cell)) for cell in finding.row())
    if chosen.csv != STDOUT:
        for line in as_table(findings).split("\n"):
            print_line(line)
    if chosen.sheet:
        _write_sheet(chosen.sheet, folder, findings)
    return 2 if unread else int(any(finding.level == WRONG for finding in findings))


def _write_sheet(path: Path, dataset: Path, findings: list) -> None:
    """Draw the frames with the worst labels; write nothing if no label looks wrong."""
    from cardpose.checking.report import MOST_DRAWN, worst_pictures

    picture = worst_pictures(dataset, findings, MOST_DRAWN)
    if picture is None:
        print_line(f"{path}: not written, as no label looks wrong")
        return
    with atomic_output(path) as scratch:
        scratch.write_bytes(marked_png(cv2.imencode(".png", picture)[1].tobytes()))
