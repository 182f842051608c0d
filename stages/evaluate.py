"""Evaluate the network on the held-out recordings, and draw its predictions."""

from cardpose.common.process import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()  # during the imports below

import json
import sys

from cardpose.common.errors import print_line, run_stage
from cardpose.common.files import atomic_output
from cardpose.common.json_files import read_json
from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import read_tensors
from cardpose.evaluation.cautions import cautions
from cardpose.evaluation.evaluate import evaluate, headlines
from cardpose.evaluation.page import write_page
from cardpose.evaluation.report import write_report
from cardpose.evaluation.wording import next_steps, summarize
from cardpose.network.weights import check_network, load_network
from cardpose.params import load_params

FRAMES, LOG = "data/frames", "metrics/train"
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
    count, pictures = params.count.source, params.evaluate.pictures
    report, held_out = evaluate(network, metadata, tensors, role, count)
    start_report, _ = evaluate(start, start_metadata, tensors, role, count)
    report["baselines"]["start"] = start_report["ways"][count]
    trained = read_json(f"{LOG}/metrics.json", ["best_epoch"])
    report["training"] = {name: trained.get(name) for name in ("best_epoch", "trained_share")}
    warnings = cautions(report, tensors, role, params.split)
    report["data"]["warnings"] = len(warnings)
    for warning in warnings:
        print_line(f"warning: {warning}", sys.stderr)
    with (
        atomic_output("metrics/headline.json") as headline,
        atomic_output("metrics/evaluate.json") as metrics,
        atomic_output("metrics/predictions.csv") as predictions,
        atomic_output("metrics/plots") as plots,
        atomic_output("metrics/report.html") as page,
        atomic_output("metrics/summary.txt") as summary,
    ):
        headline.write_text(json.dumps(headlines(report), indent=2) + "\n")
        metrics.write_text(json.dumps(report, indent=2) + "\n")
        write_report(
            predictions,
            plots,
            held_out,
            network,
            tensors,
            extracted=FRAMES,
            log=f"{LOG}/plots",
            count=pictures,
        )
        steps = next_steps(report, held_out, params.dataset)
        inputs = {"dataset": params.dataset, "plots": plots, "extracted": FRAMES, "count": pictures}
        write_page(page, report, held_out, warnings, steps, **inputs)
        summary.write_text("\n".join(summarize(report, held_out, warnings, steps)) + "\n")


if __name__ == "__main__":
    run_stage(main)
