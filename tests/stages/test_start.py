"""The stage `evaluate` measures the network that training started from."""

import json
from pathlib import Path

import torch
from bad_input import PRETRAINED, TRAINED, stage
from support import SMALLEST

from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import read_tensors
from cardpose.evaluation.evaluate import evaluate
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import load_network, save_network
from cardpose.params import load_params


def test_the_network_that_training_started_from_is_measured_on_the_same_frames(repository):
    # Its deck and its sigma are its own.
    shape = {**SMALLEST, "deck": SMALLEST["deck"] - 12, "sigma": 2 * SMALLEST["sigma"]}
    torch.manual_seed(1)
    save_network(PRETRAINED, CardPose(**network_shape(shape)).state_dict(), shape)
    stage("evaluate")
    report = json.loads(Path("metrics/evaluate.json").read_text())
    params, tensors = load_params(), read_tensors("data/tensors")
    frames = tensors.frames
    role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)
    alone = {
        path: evaluate(*load_network(path), tensors, role, "both")[0]["ways"]["both"]
        for path in (TRAINED, PRETRAINED)
    }
    assert alone[TRAINED] != alone[PRETRAINED]
    assert report["ways"]["both"] == alone[TRAINED]
    assert report["baselines"]["start"] == alone[PRETRAINED]
