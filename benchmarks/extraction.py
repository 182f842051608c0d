"""How fast frames are taken from videos, beside ffmpeg doing the same in the same run.

    python -m benchmarks.extraction                    # the rendered recordings, all of them
    python -m benchmarks.extraction film.mp4 more.mov  # or these videos
    python -m benchmarks.extraction --phone            # or films such as phones take, made for it

Takes every `frame_step`-th frame of the videos as JPEGs: with one worker, with two, and with ffmpeg
on one thread, in turn, several rounds after one that warms up. The clock is only worth something on
a quiet machine, so the processor time of the process and its children stands beside it; ratios are
medians of the rounds' own. ffmpeg starts anew for each video, which is most of its time where they
are as short as the rendered ones. Speeds are compared by --phone: two H.264 films of 2000 frames of
1920 x 1080, which takes some minutes to make.

ffmpeg's JPEGs are of whole colour, as ours are, and of its best quality (-q:v 1) or the usual best
(-q:v 2): the sizes tell how alike they are. It needs ffmpeg 5.1 or later: `apt-get install ffmpeg`.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import psutil

from cardpose.common.errors import InputError, run_stage
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import Recording
from cardpose.params import load_params

_RENDERED = Path("data/synthetic/videos")


def main():
    parser = argparse.ArgumentParser(description="extraction beside ffmpeg")
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--phone", action="store_true", help="make and use films like a phone's")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if not shutil.which("ffmpeg"):
        raise InputError("there is no ffmpeg to compare with; try: apt-get install ffmpeg")
    step = load_params().frame_step
    with tempfile.TemporaryDirectory() as scratch:
        rendered = sorted(_RENDERED.glob("*.mp4"))
        videos = given.videos or rendered
        if not videos:
            raise InputError(f"{_RENDERED}: no videos; run dvc repro data/synthetic/dvc.yaml")
        if given.phone:
            videos = phone_films(rendered, Path(scratch))
        measure(videos, step, given.rounds, Path(scratch) / "frames")


def measure(videos, step, rounds, folder):
    ways = {
        "one worker": lambda: ours(videos, step, folder, 1),
        "two workers": lambda: ours(videos, step, folder, 2),
        "ffmpeg": lambda: ffmpeg(videos, step, folder, 1),
        "ffmpeg -q:v 2": lambda: ffmpeg(videos, step, folder, 2),
    }
    clock, processor = ({way: [] for way in ways} for _ in range(2))
    sizes = {}
    for turn in range(rounds + 1):  # the first warms up: workers start, files are in memory
        for way, work in ways.items():
            start, used = perf_counter(), cpu_seconds()
            work()
            if turn:
                clock[way].append(perf_counter() - start)
                processor[way].append(cpu_seconds() - used)
            files = list(folder.rglob("*.jpg"))
            sizes[way] = len(files), sum(file.stat().st_size for file in files)
            shutil.rmtree(folder)
    load = os.getloadavg()[0]
    print(f"{len(videos)} videos, every {step}th frame; {rounds} rounds; load {load:.1f}")
    print(f"{'':12}{'frames':>8}{'MB':>8}{'clock s':>9}{'processor s':>13}{'per frame, ms':>15}")
    for way, (frames, size) in sizes.items():
        taken, used = np.median(clock[way]), np.median(processor[way])
        each = 1000 * used / frames
        print(f"{way:12}{frames:8}{size / 1e6:8.1f}{taken:9.2f}{used:13.2f}{each:15.1f}")
    of = {"clock": clock, "processor": processor}
    for name, times in of.items():
        ratio = np.median(np.divide(times["ffmpeg"], times["one worker"]))
        print(f"one worker's speed over ffmpeg's, by the {name}: {ratio:.2f}")
    ratio = np.median(np.divide(clock["one worker"], clock["two workers"]))
    print(f"two workers' speed over one's, by the clock: {ratio:.2f}")
    ratio = np.median(np.divide(processor["two workers"], processor["one worker"]))
    print(f"two workers' processor time over one's: {ratio:.2f}")


def ours(videos, step, folder, jobs):
    recordings = [Recording(video.stem, video, 1, 52) for video in videos]
    extract_frames(recordings, step, folder, jobs=jobs)


def ffmpeg(videos, step, folder, quality):
    for video in videos:
        target = folder / video.stem
        target.mkdir(parents=True)
        command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", str(video)]
        command += ["-vf", rf"select=not(mod(n\,{step}))", "-fps_mode", "vfr", "-threads", "1"]
        command += ["-pix_fmt", "yuvj444p", "-qmin", "1", "-q:v", str(quality)]
        subprocess.run([*command, str(target / "frame_%d.jpg")], check=True)


def cpu_seconds():
    """Seconds of processor time of this process, of its children, and of those that are gone."""
    spent = os.times()
    alive = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(spent[:4]) + sum(times.user + times.system for times in alive)


def phone_films(rendered, folder):
    """Two films of 2000 frames of 1920 x 1080: rendered recordings after each other, enlarged."""
    films = []
    for number in range(2):
        listed = folder / "list.txt"
        parts = [rendered[(13 * number + i) % len(rendered)] for i in range(10)]
        listed.write_text("".join(f"file '{part.absolute()}'\n" for part in parts))
        film = folder / f"phone_{number}.mp4"
        command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "concat", "-safe", "0"]
        command += ["-i", str(listed), "-vf", "scale=1440:1080,pad=1920:1080:-1:-1"]
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "16M", "-g", "30"]
        subprocess.run([*command, "-bf", "2", "-pix_fmt", "yuv420p", str(film)], check=True)
        films.append(film)
    return films


if __name__ == "__main__":
    run_stage(main)
