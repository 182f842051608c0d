"""Sample the recordings of the chosen data set: every frame_step-th frame becomes a picture."""

from pathlib import Path

from cardpose.errors import run
from cardpose.extraction import extract_frames
from cardpose.files import replacing
from cardpose.params import load_params
from cardpose.recordings import read_recordings


def main():
    params = load_params()
    machine = params.machine
    recordings = read_recordings(Path("data") / params.dataset)
    with replacing("data/frames") as folder:
        extract_frames(
            recordings,
            params.frame_step,
            folder,
            dask=machine.dask,
            dask_tls=machine.dask_tls,
        )


if __name__ == "__main__":
    run(main)
