"""List the rendered frames that pretraining must not see: those held out, if rendered ones are."""

import pandas as pd

from cardpose.errors import run
from cardpose.files import replacing
from cardpose.params import load_params
from cardpose.splits import split_frames
from cardpose.tensors import read_tensors


def main():
    params = load_params()
    held_out = []
    if params.dataset == "synthetic":
        frames = read_tensors("data/tensors").frames
        role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)
        held_out = frames["frame"][role != "train"].tolist()
    with replacing("data/held_out.csv") as path:
        pd.DataFrame({"frame": held_out}).to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main)
