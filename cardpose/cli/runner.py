"""Predict all inputs of `cardpose predict` and write the results to every output."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cardpose.cli import inputs
from cardpose.cli.drawings import drawn_video, write_drawing
from cardpose.cli.inputs import Source
from cardpose.cli.records import CsvWriter, JsonWriter, Record, picture_record, recording_record
from cardpose.cli.shared import print_error, print_note
from cardpose.cli.table import Table
from cardpose.common.errors import InputError, printable
from cardpose.inference.picture_like import Picture
from cardpose.inference.predictor import Predictor
from cardpose.inference.recording import RecordingCounter
from cardpose.inference.result import RecordingCount
from cardpose.pictures import videos
from cardpose.pictures.reading import Photograph, read_photograph
from cardpose.pictures.videos import video_timing

_GONE_SECONDS = 1.0  # without a packet; after them, a camera's count begins again
_MOST_AGAIN = 100  # pictures of a recording that are predicted again for its second count
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
        album, changed = self.predictor.recording_counter(), False
        pictures: list[Source] = []
        for kind, group in groupby(sources, lambda source: source.kind):
            if kind == "picture":
                listed = list(group)
                read, another = self._predict_pictures(listed, len(sources) == 1, album)
                complete &= len(read) == len(listed)
                pictures += read
                changed |= another
            else:
                predict = {"video": self._predict_video, "camera": self._predict_camera}[kind]
                complete &= self._try_each(predict, group)
            if self.stop.is_set():
                break
        if self.one_packet and pictures:
            again = None if changed else _photographs_again(pictures)
            self._report_recording("all pictures", len(pictures), album, again)
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
    ) -> tuple[list[Source], bool]:
        """Predict pictures; add their results to `album` if they show one packet.

        Args:
            alone: whether this is the only input. Its keypoints are then printed too.

        Returns:
            pictures that could be read; and whether the packet changed in between.
        """
        read, changed = [], False
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
            read.append(source)
            name = str(source.path)
            result = self.predictor.predict(photo)
            if self.one_packet and album.add(result):
                changed = True
                print_note(f"{name}: {_CHANGED} before it")
            self._write(picture_record("picture", name, None, result))
            self.table.print_picture(name, result, keypoints=alone)
            if source in self.targets:
                write_drawing(self.targets[source], photo, result)
            if self.stop.is_set():
                break
        return read, changed

    def _report_recording(
        self,
        name: str,
        frames: int,
        counter: RecordingCounter,
        again: Iterable[Sequence[Picture | Photograph]] | None,
    ) -> None:
        """Write and print the count of a recording of `frames` frames.

        Args:
            counter: the first count.
            again: batches of its pictures for a second count; None for no second count.
        """
        count = counter.count()
        if count and again:
            going_on = takewhile(lambda _: not self.stop.is_set(), again)
            second = count_again(self.predictor, count, going_on)
            count = count if self.stop.is_set() else second
        self._write(recording_record(name, frames, count))
        self.table.print_recording(name, frames, count)

    def _predict_video(self, source: Source) -> None:
        name, target = str(source.path), self.targets.get(source)
        rate, promised = video_timing(source.path)
        counter, seen, error = self.predictor.recording_counter(), 0, None
        changed = False
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
                            changed = True
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
        whole = not (changed or error or self.stop.is_set())
        again = _frames_again(source, self.step, seen) if whole else None
        self._report_recording(name, seen, counter, again)
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


def count_again(
    predictor: Predictor,
    count: RecordingCount,
    batches: Iterable[Sequence[Picture | Photograph]],
) -> RecordingCount:
    """Count a recording a second time, with edges traced round the box of its first count.

    Args:
        count: the first count.
        batches: pictures of the recording, or every `stride_again`-th of them.

    Returns:
        the second count; or the first one, if that has no box, or if the pictures now show another
        packet or cannot be read again.
    """
    if np.isnan(count.box).any():
        return count
    counter = predictor.recording_counter()
    try:
        for pictures in batches:
            results = predictor.predict_batch(pictures, recording=count)
            if any(counter.add(result) for result in results):
                return count
    except InputError:
        return count
    return replace(counter.count() or count, frames=count.frames, covered=count.covered)


def stride_again(pictures: int) -> int:
    """Return n such that a second count reads every n-th of `pictures` pictures."""
    return max(1, -(-pictures // _MOST_AGAIN))


def _frames_again(source: Source, step: int, seen: int) -> Iterator[list[Picture]]:
    """Yield batches of the frames of a video for its second count.

    Args:
        step: between the `seen` frames of the first count.
    """
    stride = stride_again(seen)
    name, total = f"{printable(str(source.path))}, again", -(-seen // stride)
    with tqdm(desc=name, total=total, unit="frame", leave=False, disable=None) as bar:
        for batch in inputs.read_ahead(
            inputs.batch_frames(inputs.video_frames(source.path, step * stride))
        ):
            yield [picture for _, picture in batch]
            bar.update(len(batch))


def _photographs_again(sources: Sequence[Source]) -> Iterator[list[Photograph]]:
    """Yield the pictures for their second count, each as a batch."""
    again = sources[:: stride_again(len(sources))]
    for _, photo in inputs.read_ahead(_read_pictures(again)):
        if not isinstance(photo, InputError):
            yield [photo]


def _read_pictures(
    sources: Iterable[Source],
) -> Iterator[tuple[Source, Photograph | InputError]]:
    """Yield (source, picture), or (source, error) if it cannot be read."""
    for source in sources:
        try:
            yield source, read_photograph(source.path)
        except InputError as error:
            yield source, error
