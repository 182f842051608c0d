"""Write every frame_step-th frame of the recordings in the data set as a picture."""

from cardpose.common.process import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()  # during the imports below

from pathlib import Path

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import read_recordings
from cardpose.params import load_params


def main():
    params = load_params()
    machine = params.machine
    recordings = read_recordings(Path("data") / params.dataset)
    with atomic_output("data/frames") as folder:
        extract_frames(
            recordings,
            params.frame_step,
            folder,
            dask=machine.dask,
            dask_tls=machine.dask_tls,
        )


if __name__ == "__main__":
    run_stage(main)
