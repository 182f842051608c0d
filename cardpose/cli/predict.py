"""The command `cardpose predict`."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from cardpose.cli.inputs import Source, find_sources
from cardpose.cli.own_files import check_drawing, check_free, has_header, has_records
from cardpose.cli.records import RECORD_COLUMNS, CsvWriter, JsonWriter
from cardpose.cli.runner import PredictionRun
from cardpose.cli.shared import (
    FORCE_HELP,
    STDOUT,
    add_network_arguments,
    chosen_network,
    output_files,
    output_name,
    positive,
    print_error,
    refuse_overwriting,
)
from cardpose.cli.table import Table
from cardpose.common.errors import InputError, print_line, user_message
from cardpose.common.files import atomic_text
from cardpose.common.locks import locked
from cardpose.common.process import Screen, stop_on_signals
from cardpose.inference.card_file import card_file, read_card
from cardpose.inference.predictor import load


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Count the cards in photographs, in videos or in front of a camera. Also locate the corners"
        " of the packet, in pixels of the input."
    )
    parser.set_defaults(run=run_predict, failed=1)
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="picture, video, folder of both, or number of a camera",
    )
    add(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="draw the results into copies of the inputs, in this folder",
    )
    add(
        "--csv",
        type=output_name,
        metavar="FILE",
        help="write one row per picture, frame and recording; - for stdout; a name that begins with"
        " = + - or @ gets a ' in front, so that no spreadsheet computes it",
    )
    add(
        "--jsonl",
        type=output_name,
        metavar="FILE",
        help="write the same records as lines of JSON; - for stdout",
    )
    add("--force", action="store_true", help=FORCE_HELP)
    add("--together", action="store_true", help="treat all pictures as one recording")
    add(
        "--every",
        type=positive(int),
        default=1,
        metavar="N",
        help="read every N-th frame of videos (default: 1)",
    )
    add(
        "--seconds",
        type=positive(float),
        metavar="S",
        help="stop reading a camera after S seconds",
    )
    add_network_arguments(parser)


def run_predict(chosen: argparse.Namespace) -> int:
    """Predict all inputs; return the exit status."""
    sources, all_found = _find_sources(chosen.inputs)
    if not sources:
        return 1
    model = chosen.model or chosen_network(".onnx", ".safetensors")
    targets = _drawing_targets(sources, chosen.output)
    _check_outputs(chosen, sources, model, targets.values())
    predictor = load(model, chosen.threads)
    card = read_card(model)
    if card is not None:
        print_line(f"cards of {card:.3f} mm, from {card_file(model)}", sys.stderr)
        predictor = predictor.with_card(card)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        screen = Screen(sys.stdout, stop)
        if chosen.output:  # two runs would replace each other's drawings
            if not chosen.output.exists():
                stack.callback(_remove_empty, chosen.output)
            stack.enter_context(locked(chosen.output / "drawings", wait=0))
        writers = [
            # Do not wait: another process may write the file for hours.
            writer(screen if name == STDOUT else stack.enter_context(atomic_text(name, wait=0)))
            for writer, name in ((CsvWriter, chosen.csv), (JsonWriter, chosen.jsonl))
            if name
        ]
        names = [str(source.path) for source in sources if source.kind != "camera"]
        run = PredictionRun(
            predictor=predictor,
            table=Table(names, None if STDOUT in (chosen.csv, chosen.jsonl) else screen),
            writers=writers,
            targets=targets,
            stop=stop,
            one_packet=chosen.together,
            step=chosen.every,
            seconds=chosen.seconds,
        )
        complete = run.predict_all(sources)
    if screen.error and not stop.status:
        raise screen.error
    return stop.status or int(not (all_found and complete))


def _remove_empty(folder: Path) -> None:
    """Remove a folder into which nothing was drawn."""
    with suppress(OSError):
        folder.rmdir()


def _check_outputs(
    chosen: argparse.Namespace, sources: Iterable[Source], model: Path, targets: Iterable[Path]
) -> None:
    """Refuse outputs that would overwrite inputs or files of other programs."""
    files = output_files(chosen.csv, chosen.jsonl)
    targets = list(targets)
    refuse_overwriting([*(source.path for source in sources), model], [*files, *targets])
    if chosen.csv == chosen.jsonl == STDOUT:
        raise InputError("--csv and --jsonl: only one of them can go to stdout")
    checks = ((chosen.csv, has_header(*RECORD_COLUMNS)), (chosen.jsonl, has_records))
    for name, is_ours in checks:
        if output_files(name):
            check_free(name, is_ours, chosen.force)
    for target in targets:
        check_drawing(target, chosen.force, chosen.output)


def _find_sources(names: Sequence[str]) -> tuple[list[Source], bool]:
    """Return the distinct inputs, and whether each argument names one; print errors."""
    found: list[Source] = []
    complete = True
    for name in names:
        try:
            found += find_sources(name)
        except (InputError, OSError) as error:
            print_error(user_message(error) or error)
            complete = False
    return list(dict.fromkeys(found)), complete


def _drawing_targets(sources: Iterable[Source], folder: Path | None) -> dict[Source, Path]:
    """Return {input: file in `folder` to draw it into}, with a different file for each."""
    if folder is None:
        return {}
    targets: dict[Source, Path] = {}
    taken: set[str] = set()
    for source in sources:
        if source.kind == "camera":
            raise InputError("--output: draws pictures and videos, but not what a camera sees")
        suffix = ".mp4" if source.kind == "video" else ".jpg"
        stem, number = source.path.stem, 1
        while (name := stem + suffix) in taken:
            number += 1
            stem = f"{source.path.stem}_{number}"
        taken.add(name)
        targets[source] = folder / name
    return targets
