"""Predict all inputs of `cardpose predict` and write the results to every output."""

import math
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
from cardpose.cli.shared import print_error, print_note
from cardpose.cli.table import Table
from cardpose.common.errors import InputError, printable
from cardpose.inference.predictor import Predictor
from cardpose.inference.recording import RecordingCounter
from cardpose.pictures import videos
from cardpose.pictures.reading import Photograph, read_photograph
from cardpose.pictures.videos import video_timing

_GONE_SECONDS = 1.0  # without a packet; after them, a camera's count begins again
_CHANGED = "the packet was touched or exchanged, so the count began again a few pictures"


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
        album, pictures = self.predictor.recording_counter(), 0
        for kind, group in groupby(sources, lambda source: source.kind):
            if kind == "picture":
                listed = list(group)
                read = self._predict_pictures(listed, len(sources) == 1, album)
                complete &= read == len(listed)
                pictures += read
            else:
                predict = {"video": self._predict_video, "camera": self._predict_camera}[kind]
                complete &= self._try_each(predict, group)
            if self.stop.is_set():
                break
        if self.one_packet and pictures:
            self._report_recording("all pictures", pictures, album)
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
        self, sources: Sequence[Source], alone: bool, album: RecordingCounter
    ) -> int:
        """Predict pictures; add their results to `album` if they show one packet.

        Args:
            alone: whether this is the only input. Its keypoints are then printed too.

        Returns:
            number of pictures that could be read.
        """
        read = 0
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
                continue
            read += 1
            name = str(source.path)
            result = self.predictor.predict(photo)
            if self.one_packet and album.add(result):
                print_note(f"{name}: {_CHANGED} before it")
            self._write(picture_record("picture", name, None, result))
            self.table.print_picture(name, result, keypoints=alone)
            if source in self.targets:
                write_drawing(self.targets[source], photo, result)
            if self.stop.is_set():
                break
        return read

    def _report_recording(self, name: str, frames: int, counter: RecordingCounter) -> None:
        """Write and print the count of a recording of `frames` frames."""
        count = counter.count()
        self._write(recording_record(name, frames, count))
        self.table.print_recording(name, frames, count)

    def _predict_video(self, source: Source) -> None:
        name, target = str(source.path), self.targets.get(source)
        rate, promised = video_timing(source.path)
        counter, seen, error = self.predictor.recording_counter(), 0, None
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
                        seen += 1
                        if counter.add(result):
                            print_note(f"{name}: {_CHANGED} before frame {index}")
                        if draw:
                            draw(picture, result, counter.count())
                    bar.update(len(batch))
                    if self.stop.is_set():
                        break
            except InputError as raised:
                if not seen:
                    raise
                error = raised  # the frames before the error are valid
        self._report_recording(name, seen, counter)
        if error:
            raise error

    def _predict_camera(self, source: Source) -> None:
        counter, found_at = self.predictor.recording_counter(), -math.inf
        times: deque[float] = deque()  # when the pictures of the last second were predicted
        try:
            for index, picture in videos.camera_frames(int(str(source.path)), self.seconds):
                result = self.predictor.predict(picture)
                self._write(picture_record("frame", f"camera {source.path}", index, result))
                now = time.monotonic()
                times.append(now)
                while times[0] < now - 1:
                    times.popleft()
                if result.packet:
                    found_at = now
                elif now > found_at + _GONE_SECONDS:
                    counter = self.predictor.recording_counter()
                changed = counter.add(result)
                self.table.print_camera(counter.count(), len(times), changed)
                if self.stop.is_set():
                    break
        finally:
            self.table.end_camera()

    def _write(self, record: Record) -> None:
        for writer in self.writers:
            writer.write(record)


def _read_pictures(
    sources: Iterable[Source],
) -> Iterator[tuple[Source, Photograph | InputError]]:
    """Yield (source, picture), or (source, error) if it cannot be read."""
    for source in sources:
        try:
            yield source, read_photograph(source.path)
        except InputError as error:
            yield source, error
