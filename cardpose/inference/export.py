"""A trained network as one ONNX file, for whatever runs ONNX: phones, browsers, other languages.

The file takes a picture of any size and gives places, visibility and count, see `end_to_end`;
what else there is to know about it stands in its metadata.
"""

import contextlib
import json
import warnings

import onnx
import torch

from cardpose.geometry.keypoints import EDGES, KEYPOINTS
from cardpose.geometry.pose import repeat_steps
from cardpose.inference.end_to_end import EndToEnd, Outputs

OPSET = 20
State = tuple[(torch.Tensor,) * 6]  # of `Packet`'s fits
UNITS = {
    "keypoints": "pixels of the picture, (0, 0) the outer corner of its top-left one",
    "visibility": "probability",
    "cards": "cards",
    "low": "cards",
    "high": "cards",
    "confidence": "0 to 1, no packet under 0.5",
    "box": "mm, and a share of the focal length",
}


def export_onnx(path, network, about, count, metrics):
    """Write a network and all that stands before and behind it as an ONNX file.

    Args:
        path: of the file.
        network, about: as `weights.load_network` returns them.
        count: the way of counting, one of `model.COUNTS`.
        metrics: what `evaluation.evaluate` reported of it.
    """
    counter = EndToEnd(network, about, count).eval()
    picture = torch.zeros(1, 48, 64, 3, dtype=torch.uint8)
    axes = {"pictures": {0: "n", 1: "height", 2: "width"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of constants, which are meant to be constant
        with _loops(network.packet, lambda: counter(picture)):
            torch.onnx.export(
                counter,
                (picture,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["pictures"],
                output_names=list(Outputs._fields),
                dynamic_axes={**axes, **{name: {0: "n"} for name in Outputs._fields}},
            )
    model = onnx.load(path)
    _forget_shapes(model.graph)
    known = {
        **about,
        "count": count,
        "keypoints": KEYPOINTS,
        "edges": EDGES,
        "units": UNITS,
        "metrics": metrics,
    }
    onnx.helper.set_model_props(model, {"cardpose": json.dumps(known)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _forget_shapes(graph, is_loop=False):
    """Take out the shapes noted inside a graph: those in a loop are of the one picture that it was
    exported with, and engines that believe them fail on more."""
    del graph.value_info[:]
    if is_loop:  # the first inputs are its count and condition, which are numbers for good
        for value in (*graph.input[2:], *graph.output[1:]):
            value.type.tensor_type.ClearField("shape")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _forget_shapes(attribute.g, node.op_type == "Loop")


@contextlib.contextmanager
def _loops(packet, call):
    """Let the fits of boxes be loops in the file: written out step by step, they take ONNX Runtime
    ten times as long to load. `call` has to fit all boxes once, as the export will."""
    loops = []

    def record(step, times, state, known):
        loops.append(_loop(step, state, known))
        return repeat_steps(step, times, state, known)

    def play(step, times, state, known):
        return loops.pop(0)(times, state, list(known))

    try:
        packet.repeat = record
        call()
        packet.repeat = play
        yield
    finally:
        packet.repeat = repeat_steps


def _loop(step, state, known):
    traced = torch.jit.trace(lambda *both: step(*both), (state, list(known)), check_trace=False)

    def loop(times: int, state: State, known: list[torch.Tensor]):
        for _ in range(times):
            state = traced(state, known)
        return state

    return torch.jit.script(loop)
