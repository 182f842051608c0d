"""The command `cardpose`: count the cards in photographs and videos, or start the web page."""

import argparse
import os
import sys
from pathlib import Path

from cardpose.cli import app, label
from cardpose.cli.check import run_check
from cardpose.cli.predict import INTERRUPTED, MODELS, run_predict
from cardpose.cli.runner import complain
from cardpose.cli.shared import positive
from cardpose.common.devices import is_stdout
from cardpose.common.errors import InputError, silence_opencv, user_message

FORCE = "write over files that cardpose has not written, too"


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
        line = user_message(error)
        if line is None:
            raise
        complain(line)
        status = chosen.failed
    except KeyboardInterrupt:
        status = INTERRUPTED
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
    predict.set_defaults(run=run_predict, failed=1)
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
    check.set_defaults(run=run_check, failed=2)
    labels = commands.add_parser(
        "label",
        help="label your own recordings, with the network's help",
        description="From fresh recordings to labels, with the network's help.",
    )
    label.add_label_arguments(labels)
    page = commands.add_parser("app", help="count in the browser", description=app.__doc__)
    app.add_app_arguments(page)
    page.set_defaults(run=app.run_app, failed=1)
    return parser


def _output(name):
    """A file's name, or "-" for stdout, whatever it is called."""
    return "-" if is_stdout(name) else name
