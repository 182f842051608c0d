"""Evaluate the network on the held-out recordings, and draw its predictions."""

from cardpose.common.process import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()  # during the imports below

import json
import sys

from cardpose.common.errors import print_line, run_stage
from cardpose.common.files import atomic_output
from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import read_tensors
from cardpose.evaluation.cautions import cautions
from cardpose.evaluation.evaluate import evaluate, headlines
from cardpose.evaluation.report import write_report
from cardpose.network.weights import check_network, load_network
from cardpose.params import load_params

MODEL, START = "models/cardpose.safetensors", "models/pretrained.safetensors"


def main() -> None:
    params = load_params()
    tensors = read_tensors("data/tensors")
    frames = tensors.frames
    role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)
    network, metadata = load_network(MODEL)
    check_network(MODEL, metadata, tensors)
    start, start_metadata = load_network(START)
    check_network(START, start_metadata, tensors, params.model)
    count = params.count.source
    report, held_out = evaluate(network, metadata, tensors, role, count)
    start_report, _ = evaluate(start, start_metadata, tensors, role, count)
    report["baselines"]["start"] = start_report["ways"][count]
    warnings = cautions(report, tensors, role, params.split)
    report["data"]["warnings"] = len(warnings)
    for warning in warnings:
        print_line(f"warning: {warning}", sys.stderr)
    with (
        atomic_output("metrics/evaluate.json") as metrics,
        atomic_output("metrics/details.json") as details,
        atomic_output("metrics/predictions.csv") as predictions,
        atomic_output("metrics/plots") as plots,
    ):
        metrics.write_text(json.dumps(headlines(report), indent=2) + "\n")
        details.write_text(json.dumps(report, indent=2) + "\n")
        write_report(
            predictions,
            plots,
            held_out,
            network,
            tensors,
            extracted="data/frames",
            log="metrics/train/plots",
            count=params.evaluate.pictures,
        )


if __name__ == "__main__":
    run_stage(main)
