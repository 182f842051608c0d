"""The command `cardpose predict`."""

import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cardpose.cli.app import MODEL
from cardpose.cli.inputs import find_sources
from cardpose.cli.own_files import check_drawing, check_free, has_header, has_records
from cardpose.cli.records import COLUMNS, CsvWriter, JsonWriter, Table
from cardpose.cli.runner import Run, complain
from cardpose.cli.shared import refuse_overwriting, text_output
from cardpose.common.errors import InputError
from cardpose.inference.predictor import load

# What `make repro` makes, or else what comes with the repository.
MODELS = (MODEL, "models/cardpose.safetensors", "models/pretrained.safetensors")
INTERRUPTED = 130  # the exit status that shells expect after Ctrl-C


def run_predict(chosen):
    found, failed = _find(chosen.inputs)
    if not found:
        return 1
    model = chosen.model or _default_model()
    targets = _targets(found, chosen.output)
    files = [Path(name) for name in (chosen.csv, chosen.jsonl) if name not in (None, "-")]
    refuse_overwriting([*(source.path for source in found), model], [*files, *targets.values()])
    if chosen.csv == chosen.jsonl == "-":
        raise InputError("--csv and --jsonl: only one of them can go to stdout")
    for name, ours in ((chosen.csv, has_header(*COLUMNS)), (chosen.jsonl, has_records)):
        if name not in (None, "-"):
            check_free(name, ours, chosen.force)
    for target in targets.values():
        check_drawing(target, chosen.force, chosen.output)
    predictor = load(model, chosen.threads)
    with ExitStack() as stack:
        writers = [
            writer(stack.enter_context(text_output(name, wait=0)))  # another may take hours
            for writer, name in ((CsvWriter, chosen.csv), (JsonWriter, chosen.jsonl))
            if name
        ]
        shown = None if "-" in (chosen.csv, chosen.jsonl) else sys.stdout
        table = Table([str(source.path) for source in found if source.kind != "camera"], shown)
        stop = stack.enter_context(_stopping())
        how = (chosen.together, chosen.every, chosen.seconds)
        run = Run(predictor, table, writers, targets, stop, *how)
        worked = run.look(found)
    return INTERRUPTED if stop.is_set() else int(failed or not worked)


@contextmanager
def _stopping():
    """Give an event that Ctrl-C sets; a second Ctrl-C ends everything at once."""
    stop = threading.Event()

    def ask(*_):
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _find(names):
    """The sources that the command line names, and whether some of them are not there."""
    found, failed = [], False
    for name in names:
        try:
            found += find_sources(name)
        except InputError as error:
            complain(error)
            failed = True
    return list(dict.fromkeys(found)), failed


def _default_model():
    for name in MODELS:
        if Path(name).is_file():
            return Path(name)
    raise InputError(f"{MODELS[0]}: there is no such file: `make repro` makes it")


def _targets(found, folder):
    """Where each source is drawn: {source: path in `folder`}, no path twice."""
    if folder is None:
        return {}
    targets, taken = {}, set()
    for source in found:
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
