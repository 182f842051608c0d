"""The command `cardpose`: count the cards in photographs and videos, or start the web page."""

import argparse
import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cardpose import label, serve
from cardpose.arguments import positive
from cardpose.counting import Run, complain
from cardpose.devices import is_stdout
from cardpose.errors import InputError, said, silence_opencv
from cardpose.files import WAIT, writing_text
from cardpose.inputs import sources
from cardpose.ours import check_drawing, check_free, has_header, has_records
from cardpose.predictor import load
from cardpose.reports import COLUMNS, CsvWriter, JsonWriter, Table

# What `make repro` makes, or else what comes with the repository.
MODELS = (serve.MODEL, "models/cardpose.safetensors", "models/pretrained.safetensors")

FORCE = "write over files that cardpose has not written, too"

_INTERRUPTED = 130  # the exit status that shells expect after Ctrl-C


def main(arguments=None):
    """Run the command; the process ends with status 0, 1 if something could not be done, 130 if
    it was interrupted, 2 if the arguments make no sense. Of `check`, 1 means that something looks
    wrong, and 2 that not all could be checked."""
    silence_opencv()
    chosen = _parser().parse_args(arguments)
    try:
        status = chosen.run(chosen) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # who reads our output, `head` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = chosen.failed
    except (InputError, OSError, RuntimeError, MemoryError) as error:
        line = said(error)
        if line is None:
            raise
        complain(line)
        status = chosen.failed
    except KeyboardInterrupt:
        status = _INTERRUPTED
    sys.exit(status)


def _parser():
    parser = argparse.ArgumentParser("cardpose", description="Count the cards of a packet.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    predict = commands.add_parser(
        "predict",
        help="count the cards in photographs, videos, or what a camera sees",
        description="Count the cards in photographs, videos, or what a camera sees, and say where"
        " the packet's corners are, in pixels of the input.",
    )
    add = predict.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="picture, video, folder, or a camera's number")
    usual = f"the network (default: {MODELS[0]}, or what else there is in models/)"
    add("--model", type=Path, metavar="FILE", help=usual)
    add("--output", type=Path, metavar="FOLDER", help="write the inputs there, drawn upon")
    help = "write a row a picture, frame and recording; - for stdout"
    add("--csv", type=_output, metavar="FILE", help=help)
    add("--jsonl", type=_output, metavar="FILE", help="the same as lines of JSON")
    add("--force", action="store_true", help=FORCE)
    add("--together", action="store_true", help="count one packet from all pictures")
    add("--every", type=positive(int), default=1, metavar="N", help="every N-th frame of videos")
    add("--seconds", type=positive(float), metavar="S", help="look so long through a camera")
    add("--threads", type=positive(int, 1024), metavar="N", help="use so many processor cores")
    predict.set_defaults(run=_predict, failed=1)
    check = commands.add_parser(
        "check",
        help="say what looks wrong in a data set, before it is learnt from",
        description="Say what looks wrong in a data set, the worst first: labels that fit no"
        " packet, names, counts, copies. Status 0: nothing looks wrong; 1: something does;"
        " 2: not all could be checked.",
    )
    add = check.add_argument
    add("dataset", metavar="DATASET", help="a folder below data/, or the path of a folder")
    add("--csv", type=_output, metavar="FILE", help="write a row a finding; - for stdout")
    add("--sheet", type=Path, metavar="FILE", help="draw the worst labels into this picture")
    add("--force", action="store_true", help=FORCE)
    check.set_defaults(run=_check, failed=2)
    labels = commands.add_parser(
        "label",
        help="label your own recordings, with the network's help",
        description="From fresh recordings to labels, with the network's help.",
    )
    label.add_arguments(labels)
    app = commands.add_parser("app", help="count in the browser", description=serve.__doc__)
    serve.add_arguments(app)
    app.set_defaults(run=serve.main, failed=1)
    return parser


def _predict(chosen):
    found, failed = _find(chosen.inputs)
    if not found:
        return 1
    model = chosen.model or _default_model()
    targets = _targets(found, chosen.output)
    files = [Path(name) for name in (chosen.csv, chosen.jsonl) if name not in (None, "-")]
    _protect([*(source.path for source in found), model], [*files, *targets.values()])
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
            writer(stack.enter_context(_text_file(name, wait=0)))  # another may take hours
            for writer, name in ((CsvWriter, chosen.csv), (JsonWriter, chosen.jsonl))
            if name
        ]
        shown = None if "-" in (chosen.csv, chosen.jsonl) else sys.stdout
        table = Table([str(source.path) for source in found if source.kind != "camera"], shown)
        stop = stack.enter_context(_stopping())
        how = (chosen.together, chosen.every, chosen.seconds)
        run = Run(predictor, table, writers, targets, stop, *how)
        worked = run.look(found)
    return _INTERRUPTED if stop.is_set() else int(failed or not worked)


def _check(chosen):
    # torch takes seconds, and who only counts has none
    from cardpose.findings import COLUMNS, report

    folder = label.dataset_folder(chosen.dataset)
    files = [Path(name) for name in (chosen.csv, chosen.sheet) if name not in (None, "-")]
    _protect([folder / name for name in ("videos.csv", "annotations.csv")], files)
    if chosen.csv not in (None, "-"):
        check_free(chosen.csv, has_header(*COLUMNS), chosen.force)
    if chosen.sheet:
        check_drawing(chosen.sheet, chosen.force)
    return report(folder, chosen.csv, chosen.sheet, complain, _text_file)


def _output(name):
    """A file's name, or "-" for stdout, whatever it is called."""
    return "-" if is_stdout(name) else name


@contextmanager
def _text_file(name, wait=WAIT):
    if name == "-":
        sys.stdout.reconfigure(line_buffering=True)  # who reads it may be waiting
        yield sys.stdout
    else:
        with writing_text(name, wait) as file:
            yield file


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
            found += sources(name)
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


def _protect(sources, targets):
    """Nothing is written over what is read, or over a folder, or twice."""
    taken = {os.path.realpath(path): "an input" for path in sources}
    for target in targets:
        if target.is_dir():
            raise InputError(f"{target}: is a folder, and would be overwritten; name a file")
        real = os.path.realpath(target)
        if real in taken:
            raise InputError(f"{target}: is {taken[real]}, and would be overwritten; name another")
        taken[real] = "written already"
