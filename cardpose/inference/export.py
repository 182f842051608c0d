"""Export a trained network as one ONNX file, for phones, browsers and other languages.

The file maps pictures of any size to keypoints, visibility and count; see `end_to_end`. Its
metadata has everything else that users need.
"""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from typing import Any, Literal, no_type_check

import numpy as np
import onnx
import torch
from jaxtyping import Float32, Int8
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from cardpose.common.errors import InputError
from cardpose.geometry.box_fit import BoxFitter, State, repeat_step
from cardpose.geometry.keypoints import EDGES, KEYPOINTS
from cardpose.inference.end_to_end import EndToEnd, Outputs
from cardpose.inference.onnx_file import FLOATS, check_onnx
from cardpose.network.model import CardPose

OPSET = 20
_LARGE = 1000  # fewest numbers of a weight that is worth shrinking
_VERY_LARGE = 2**14  # fewest that 8 bits store; smaller weights make more of a difference
_STORED = "_stored"  # ends the names of weights in fewer bits
UNITS = {
    "keypoints": "pixels of the picture, (0, 0) the outer corner of its top-left one",
    "visibility": "probability",
    "cards": "cards",
    "low": "cards",
    "high": "cards",
    "confidence": "0 to 1, no packet under 0.5",
    "box": "mm, and a share of the focal length",
    "boxes": "mm",
}


def export_onnx(
    path: str | PathLike,
    network: CardPose,
    metadata: Mapping[str, Any],
    count: str,
    metrics: Mapping[str, Any],
) -> None:
    """Write a network with its pre- and postprocessing as an ONNX file.

    Args:
        path: of the file.
        network, metadata: as `weights.load_network` returns them.
        count: the way of counting, one of `model.COUNTS`.
        metrics: of the network, as `evaluation.evaluate` reports them.
    """
    end_to_end = EndToEnd(network, metadata, count).eval()
    inputs = torch.zeros(1, 48, 64, 3, dtype=torch.uint8), torch.full((1, 4), torch.nan)
    axes = {"pictures": {0: "n", 1: "height", 2: "width"}, "boxes": {0: "n"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # on constants in the graph, which are intended
        with _loops(network, lambda: end_to_end(*inputs)):
            torch.onnx.export(
                end_to_end,
                inputs,
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=[*axes],
                output_names=list(Outputs._fields),
                dynamic_axes={**axes, **{name: {0: "n"} for name in Outputs._fields}},
            )
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    _cast_divisors(model.graph)
    _forget_shapes(model.graph)
    stored = {
        **metadata,
        "count": count,
        "keypoints": KEYPOINTS,
        "edges": EDGES,
        "units": UNITS,
        "metrics": metrics,
    }
    helper.set_model_props(model, {"cardpose": json.dumps(stored)})
    _save(model, path)


def shrink_onnx(source: str | PathLike, target: str | PathLike, bits: Literal[8, 16, 32]) -> None:
    """Write an exported network with its weights in fewer bits, and its metadata unchanged.

    Args:
        source, target: ONNX files.
        bits: of a large weight. 16 instead of 32 halve the file; 8 make it a third as large.

    Raises:
        InputError: `bits` is below 32, and the weights of `source` have fewer than 32 bits already.
    """
    model = onnx.load(source)
    if bits < 32:
        if any(weight.name.endswith(_STORED) for weight in model.graph.initializer):
            raise InputError(f"{source}: its weights are in fewer bits already; name its original")
        _shrink_weights(model.graph, bits)
    _save(model, target)


def _save(model: onnx.ModelProto, path: str | PathLike) -> None:
    """Write an ONNX file after checking that `inference.predictor.load` accepts it."""
    onnx.checker.check_model(model, full_check=True)
    check_onnx(model.SerializeToString())
    onnx.save(model, path)


def _forget_shapes(graph: onnx.GraphProto, is_loop: bool = False) -> None:
    """Remove the intermediate shapes stored in a graph.

    Shapes inside loops are those of the single example picture. Engines that rely on them fail on
    larger batches.
    """
    del graph.value_info[:]
    if is_loop:  # the first two inputs are the loop's count and condition, always scalars
        for value in (*graph.input[2:], *graph.output[1:]):
            value.type.tensor_type.ClearField("shape")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _forget_shapes(attribute.g, node.op_type == "Loop")


def _cast_divisors(graph: onnx.GraphProto) -> None:
    """Cast floating-point divisors to their own type, which shows that they are no integers.

    `onnx_file` refuses others. ONNX Runtime removes these casts when it loads the file.
    """
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    nodes = []
    for node in graph.node:
        if node.op_type == "Div" and types.get(node.input[1]) in FLOATS:
            divisor = node.input[1]
            node.input[1] = f"{node.output[0]}_divisor"
            cast = helper.make_node("Cast", [divisor], [node.input[1]], to=types[divisor])
            nodes.append(cast)
        nodes.append(node)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _cast_divisors(attribute.g)
    del graph.node[:]
    graph.node.extend(nodes)


def _shrink_weights(graph: onnx.GraphProto, bits: int) -> None:
    """Store large weights of a graph in fewer bits, and restore them before they are used.

    ONNX Runtime calculates in float32 all the same.
    """
    nodes: list[onnx.NodeProto] = []
    for weight in list(graph.initializer):
        name, size = weight.name, np.prod(weight.dims)
        if weight.data_type != TensorProto.FLOAT or size < _LARGE:
            continue
        values = numpy_helper.to_array(weight)
        stored, integers, scale = name + _STORED, f"{name}_integers", f"{name}_scale"
        if bits == 8 and size >= _VERY_LARGE:
            values, scales = _rounded(values)
            graph.initializer.append(numpy_helper.from_array(scales, scale))
            nodes.append(helper.make_node("Cast", [stored], [integers], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [integers, scale], [name]))
        else:
            values = values.astype(np.float16)
            nodes.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
        weight.CopyFrom(numpy_helper.from_array(values, stored))
    nodes += graph.node
    del graph.node[:]
    graph.node.extend(nodes)


def _rounded(
    weights: Float32[np.ndarray, "n ..."],
) -> tuple[Int8[np.ndarray, "n ..."], Float32[np.ndarray, "n ..."]]:
    """Return weights as integers from -127 to 127, and the scale of each row (output channel)."""
    largest = abs(weights).max(axis=tuple(range(1, weights.ndim)), keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return (weights / scales).round().astype(np.int8), scales


@contextlib.contextmanager
def _loops(network: CardPose, call: Callable[[], Any]) -> Iterator[None]:
    """Export the fits of boxes as loops inside this context.

    ONNX Runtime takes ten times as long to load unrolled fits.

    Args:
        network: network whose `fitter` has the fits.
        call: function that runs the network once, with the same fits as the export.
    """
    fitter, loops = network.fitter, []

    def record(step, times, state, fixed):
        loops.append(_loop(step, state, fixed))
        return repeat_step(step, times, state, fixed)

    def play(step, times, state, fixed):
        return loops.pop(0)(times, state, fixed)

    try:
        network.fitter = BoxFitter(fitter.box, record)
        call()
        network.fitter = BoxFitter(fitter.box, play)
        yield
    finally:
        network.fitter = fitter


def _loop(step, state, fixed):
    """Compile a step of a fit. Return a loop of it, which becomes one ONNX operator."""
    traced = torch.jit.trace(lambda *both: step(*both), (state, fixed), check_trace=False)

    @no_type_check  # TorchScript needs the bare function and its type hints
    def loop(times: int, state: State, fixed: list[Tensor]):
        for _ in range(times):
            state = traced(state, fixed)
        return state

    return torch.jit.script(loop)
