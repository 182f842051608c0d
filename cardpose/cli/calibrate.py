"""The command `cardpose calibrate`."""

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from tqdm import tqdm

from cardpose.cli.inputs import batch_frames, find_sources, read_ahead, video_frames
from cardpose.cli.runner import count_again, stride_again
from cardpose.cli.shared import add_network_arguments, chosen_network, positive
from cardpose.common.errors import InputError, print_line, printable, short_repr
from cardpose.geometry.card_fit import fit_card
from cardpose.inference.card_file import card_file, write_card
from cardpose.inference.picture_like import Picture
from cardpose.inference.predictor import Predictor, RecordingCount, load
from cardpose.pictures.reading import read_picture

_MOST_UNUSUAL = 1.3  # largest ratio of a card's thickness to the usual one, either way
_USAGE = "should be VIDEO=COUNT, with the number of cards in that video, like packet.mp4=30"


def add_calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Measure how thick the cards of your deck are, in videos whose counts you give. Stores the"
        " thickness beside the network; `cardpose predict` then counts with it."
    )
    parser.set_defaults(run=run_calibrate, failed=1)
    add = parser.add_argument
    add(
        "recordings",
        nargs="*",
        metavar="VIDEO=COUNT",
        help="video, or folder of pictures, of one packet; and its number of cards",
    )
    add("--forget", action="store_true", help="count with the usual cards again")
    add(
        "--every",
        type=positive(int),
        default=5,
        metavar="N",
        help="read every N-th frame of videos (default: 5)",
    )
    add_network_arguments(parser)


def run_calibrate(chosen: argparse.Namespace) -> None:
    """Fit the thickness of the user's cards and store it beside the network."""
    if chosen.forget == bool(chosen.recordings):
        raise InputError("calibrate: name either recordings, as VIDEO=COUNT, or --forget")
    model = chosen.model or chosen_network(".onnx", ".safetensors")
    if chosen.forget:
        card_file(model).unlink(missing_ok=True)
        return
    named = [_parse(text) for text in chosen.recordings]
    predictor = load(model, chosen.threads)
    if predictor.metadata["count"] != "both":
        raise InputError(f"{model}: should count by the box: export it with `count.from: both`")
    deck, usual = predictor.metadata["deck"], predictor.metadata["card"][2]
    for name, cards in named:
        if cards > deck:
            raise InputError(f"{name}={cards}: the deck has {deck} cards")
    found = [_measure(predictor, name, chosen.every) for name, _ in named]
    thickness, deviation = (
        np.array([getattr(count, each) for count in found]) for each in ("thickness", "deviation")
    )
    counts = np.array([cards for _, cards in named])
    card = fit_card(thickness, deviation, counts, usual)
    if not 1 / _MOST_UNUSUAL < card / usual < _MOST_UNUSUAL:
        raise InputError(
            f"these counts make a card {card:.2f} mm thick, where {usual:.2f} mm is usual:"
            " check the counts, and that each video shows one packet"
        )
    rows = [
        {"video": name, "cards": cards, "thickness_mm": round(count.thickness, 3)}
        for (name, cards), count in zip(named, found, strict=True)
    ]
    print_line(f"{write_card(model, card, rows)}: cards of {card:.3f} mm (usual: {usual:.3f} mm)")


def _parse(text: str) -> tuple[str, int]:
    """Return name and count of VIDEO=COUNT."""
    name, _, count = text.rpartition("=")
    if not (name and count.isascii() and count.isdigit() and len(count) < 9 and int(count)):
        raise InputError(f"{short_repr(text)}: {_USAGE}")
    return name, int(count)


def _measure(predictor: Predictor, name: str, step: int) -> RecordingCount:
    """Measure the packet that a video or a folder of pictures shows, as `cardpose predict` does."""
    counter, seen = predictor.recording_counter(), 0
    for batch in _batches(_pictures(name, step), name):
        for result in predictor.predict_batch(batch):
            if counter.add(result):
                raise InputError(f"{name}: should show one untouched packet")
        seen += len(batch)
    count = counter.count()
    if count is None or np.isnan(count.thickness):
        raise InputError(f"{name}: should show a packet with at least four visible corners")
    again = islice(_pictures(name, step), 0, None, stride_again(seen))
    return count_again(predictor, count, _batches(again, f"{name}, again"))


def _batches(pictures: Iterable[Picture], title: str) -> Iterator[list[Picture]]:
    """Yield the pictures in batches, with a progress bar."""
    bar = tqdm(pictures, desc=printable(title), unit="frame", leave=False, disable=None)
    for batch in read_ahead(batch_frames(enumerate(bar))):
        yield [picture for _, picture in batch]


def _pictures(name: str, step: int) -> Iterator[Picture]:
    """Yield the pictures of a recording."""
    for source in find_sources(name):
        if source.kind == "camera":
            raise InputError(f"{name}: should be a video or a folder of pictures, not a camera")
        if source.kind == "picture":
            yield read_picture(source.path)
        else:
            yield from (picture for _, picture in video_frames(source.path, step))
