"""Predict all inputs of `cardpose predict` and write the results to every output."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cardpose.cli import inputs
from cardpose.cli.drawings import drawn_video, write_drawing
from cardpose.cli.inputs import Source
from cardpose.cli.records import CsvWriter, JsonWriter, Record, picture_record, recording_record
from cardpose.cli.shared import print_error
from cardpose.cli.table import Table
from cardpose.common.errors import InputError, printable
from cardpose.inference.predictor import Predictor, Result
from cardpose.pictures import videos
from cardpose.pictures.reading import Photograph, read_photograph
from cardpose.pictures.videos import video_timing

_KEPT = 1000  # results of a video to keep in memory: at most twice this number
_CAMERA_SECONDS = 1.0  # length of time that one count of a camera covers


@dataclass
class PredictionRun:
    """Predict inputs and write the results.

    Attributes:
        table: prints the results on the screen.
        targets: {input: file to draw it into}.
        stop: ends the run early if set. The outputs are still completed.
        one_packet: whether all pictures show the same packet and count as one recording.
        step: predict every `step`-th frame of videos.
        seconds: time limit for reading a camera; None for no limit.
    """

    predictor: Predictor
    table: Table
    writers: Sequence[CsvWriter | JsonWriter]
    targets: Mapping[Source, Path]
    stop: threading.Event
    one_packet: bool
    step: int
    seconds: int | float | None

    def predict_all(self, sources: Sequence[Source]) -> bool:
        """Predict all inputs; print an error for each that cannot be read.

        Returns:
            Whether all inputs were read completely.
        """
        complete = True
        album: list[Result] = []
        for kind, group in groupby(sources, lambda source: source.kind):
            if kind == "picture":
                complete &= self._predict_pictures(list(group), len(sources) == 1, album)
            else:
                predict = {"video": self._predict_video, "camera": self._predict_camera}[kind]
                complete &= self._try_each(predict, group)
            if self.stop.is_set():
                break
        if self.one_packet and album:
            with_packet = sum(result.packet for result in album)
            complete &= self._try_each(
                self._count_recording, ["all pictures"], album, len(album), with_packet
            )
        return complete

    def _try_each(
        self, function: Callable[..., None], items: Iterable[Any], *arguments: Any
    ) -> bool:
        """Call `function(item, *arguments)` for each item; print errors; return True if none."""
        complete = True
        for item in items:
            try:
                function(item, *arguments)
            except InputError as error:
                print_error(error)
                complete = False
            if self.stop.is_set():
                break
        return complete

    def _predict_pictures(
        self, sources: Sequence[Source], alone: bool, album: list[Result]
    ) -> bool:
        """Predict pictures; append their results to `album` if they show one packet.

        Args:
            alone: whether this is the only input. Its keypoints are then printed too.
        """
        complete = True
        bar = tqdm(
            inputs.read_ahead(_read_pictures(sources)),
            total=len(sources),
            unit="picture",
            leave=False,
            disable=self.table.is_visible or None,  # the table's lines show the progress
        )
        for source, photo in bar:
            if isinstance(photo, InputError):
                print_error(photo)
                complete = False
                continue
            name = str(source.path)
            result = self.predictor.predict(photo)
            if self.one_packet:
                album.append(result)
            self._write(picture_record("picture", name, None, result))
            self.table.print_picture(name, result, keypoints=alone)
            if source in self.targets:
                write_drawing(self.targets[source], photo, result)
            if self.stop.is_set():
                break
        return complete

    def _count_recording(
        self, name: str, results: Sequence[Result], frames: int, with_packet: int
    ) -> None:
        """Count the cards of a recording and write the count.

        Args:
            results: results of the frames, or of an evenly spread sample of them.
            frames: number of all frames.
            with_packet: number of frames that show a packet.
        """
        count = self.predictor.count_recording(results)
        self._write(recording_record(name, frames, count))
        self.table.print_recording(name, frames, with_packet, count)

    def _predict_video(self, source: Source) -> None:
        name, target = str(source.path), self.targets.get(source)
        rate, promised = video_timing(source.path)
        sample, seen, error = _EvenSample(), 0, None
        total = -(-promised // self.step) or None
        bar = tqdm(desc=printable(name), total=total, unit="frame", leave=False, disable=None)
        drawing = drawn_video(target, rate / self.step) if target else nullcontext()
        with bar, drawing as draw:
            try:
                frames = inputs.video_frames(source.path, self.step)
                for batch in inputs.read_ahead(inputs.batch_frames(frames)):
                    results = self.predictor.predict_batch([picture for _, picture in batch])
                    for (index, picture), result in zip(batch, results, strict=True):
                        self._write(picture_record("frame", name, index, result))
                        if draw:
                            draw(picture, result)
                        seen += 1
                        if result.packet:
                            sample.add(result)
                    bar.update(len(batch))
                    if self.stop.is_set():
                        break
            except InputError as raised:
                if not seen:
                    raise
                error = raised  # the frames before the error are valid
        self._count_recording(name, sample.items, seen, sample.seen)
        if error:
            raise error

    def _predict_camera(self, source: Source) -> None:
        recent: deque[tuple[float, Result]] = deque()
        try:
            for index, picture in videos.camera_frames(int(str(source.path)), self.seconds):
                result = self.predictor.predict(picture)
                self._write(picture_record("frame", f"camera {source.path}", index, result))
                now = time.monotonic()
                recent.append((now, result))
                while recent[0][0] < now - _CAMERA_SECONDS:
                    recent.popleft()
                self.table.print_camera([result for _, result in recent])
                if self.stop.is_set():
                    break
        finally:
            self.table.end_camera()

    def _write(self, record: Record) -> None:
        for writer in self.writers:
            writer.write(record)


class _EvenSample:
    """Evenly spread sample of the added items, with at most 2 * _KEPT of them."""

    def __init__(self) -> None:
        self.items: list[Result] = []
        self.seen = 0
        self._step = 1

    def add(self, item: Result) -> None:
        if self.seen % self._step == 0:
            self.items.append(item)
        if len(self.items) == 2 * _KEPT:
            self.items, self._step = self.items[::2], 2 * self._step
        self.seen += 1


def _read_pictures(
    sources: Iterable[Source],
) -> Iterator[tuple[Source, Photograph | InputError]]:
    """Yield (source, picture), or (source, error) if it cannot be read."""
    for source in sources:
        try:
            yield source, read_photograph(source.path)
        except InputError as error:
            yield source, error
