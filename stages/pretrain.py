"""Train a network on rendered recordings, for training on the chosen data set to start from."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cardpose.annotations import read_annotations
from cardpose.errors import run
from cardpose.extraction import extract_frames
from cardpose.files import replacing
from cardpose.params import load_params
from cardpose.prediction import save_network
from cardpose.recordings import read_recordings, sampled_before
from cardpose.tables import read_own_table
from cardpose.tensors import match_labels, read_tensors, write_tensors
from cardpose.training import pretrain

RENDERED = Path("data/synthetic")


def main():
    params = load_params()
    with (
        replacing("models/pretrained.safetensors") as path,
        TemporaryDirectory(dir=path.parent) as scratch,  # some GB: more than a /tmp in memory holds
    ):
        extracted, folder = Path(scratch) / "frames", Path(scratch) / "tensors"
        extract_frames(read_recordings(RENDERED), params.pretrain.frame_step, extracted)
        labelled, points, visible = read_annotations(RENDERED / "annotations.csv")
        frames, rows, _ = match_labels(extracted, labelled, RENDERED / "annotations.csv")
        size, stride = params.image_size, params.heatmap_stride
        write_tensors(
            folder, extracted, frames, points[rows], visible[rows], size, stride, params.sigma
        )
        held_out = set(read_own_table("data/held_out.csv", ["frame"])["frame"])
        # Frames between two sampled ones look much like the first: they are held out with it.
        sampled = [sampled_before(frame, params.frame_step) for frame in frames["frame"]]
        chosen = np.flatnonzero([frame not in held_out for frame in sampled])
        save_network(path, *pretrain(read_tensors(folder), chosen, params))


if __name__ == "__main__":
    run(main)
