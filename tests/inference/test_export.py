"""The ONNX file, run by ONNX Runtime, against PyTorch."""

import functools
import json
import re

import cv2
import numpy as np
import onnx
import pytest
import torch
from support import ABOUT, REPOSITORY, network_inputs
from torch.nn import functional as F

from cardpose.common.onnx_runtime import import_onnxruntime
from cardpose.geometry.heatmaps import encode
from cardpose.geometry.keypoints import EDGES, KEYPOINTS
from cardpose.inference.end_to_end import EndToEnd, Outputs
from cardpose.inference.export import export_onnx, shrink_onnx
from cardpose.inference.onnx_file import OPERATORS, check_onnx
from cardpose.network.model import CardPose, network_shape
from cardpose.pictures.letterbox import fractions_to_fitted, resize_to_fit
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

onnxruntime = import_onnxruntime()

ABOUT = {
    **ABOUT,
    "widths": [16, 32, 32],
    "image_size": [96, 72],
    "margins": {"picture": 9.0, "keypoints": 5.0, "both": 3.5},
}
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
COLOURS += [(255, 0, 255), (0, 255, 255), (255, 128, 0), (128, 0, 255)]


@functools.cache
def scene(width, height):
    return Renderer(random_scene(0, 20, 8, width, height))


def dotted(index, width=640, height=480):
    """Render an RGB picture with a coloured dot on each visible corner, and return both."""
    renderer = scene(width, height)
    picture = np.ascontiguousarray(renderer.frame(index)[..., ::-1])
    points, visible = renderer.keypoints(index)
    size = round(
        14 * max(width / 640, height / 480)
    )  # the same when fitted into the network's picture
    for point, seen, colour in zip(points, visible, COLOURS, strict=True):
        if seen:
            cv2.circle(picture, np.rint(point - 0.5).astype(int).tolist(), size, colour, -1)
    return picture, points, visible


@pytest.fixture(scope="module")
def network():
    """A network trained on dots until each of its heatmaps has one clear peak.

    Where two places are equally high, rounding decides, and there is nothing to compare.
    """
    torch.manual_seed(0)
    network = CardPose(**network_shape(ABOUT))
    shapes = [(index, *size) for index in range(6) for size in ((640, 480), (480, 640))]
    pictures, points, visible = zip(*(dotted(*shape) for shape in shapes), strict=True)
    small = np.stack([resize_to_fit(picture, (96, 72)) for picture in pictures])
    small = torch.from_numpy(small).permute(0, 3, 1, 2)
    fractions = np.stack([p / shape[1:] for p, shape in zip(points, shapes, strict=True)])
    points = fractions_to_fitted(fractions, [shape[1:] for shape in shapes], (96, 72))
    points = torch.from_numpy(points)
    seen = torch.from_numpy(np.stack(visible))
    true = encode(points, seen, (18, 24), 4, 1.5)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(80):
        heatmaps, _, logits = network(small)
        loss = 1000 * F.mse_loss(heatmaps, true)
        loss = loss + F.binary_cross_entropy_with_logits(logits, seen.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def path(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "cardpose.onnx"
    export_onnx(path, network, ABOUT, "both", {"cards": {"mae": 1.5}})
    return path


@pytest.fixture(scope="module", params=["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"])
def session(path, request):
    options = onnxruntime.SessionOptions()
    level = getattr(onnxruntime.GraphOptimizationLevel, request.param)
    options.graph_optimization_level = level  # an optimizer believes whatever shape it finds
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def batch(kind):
    if kind == "three together":
        return np.stack([dotted(index)[0] for index in (0, 3, 7)])
    if kind == "on end":
        return dotted(1, 480, 640)[0][None]
    size = {"as rendered": (640, 480), "odd": (333, 251), "small": (90, 70), "large": (1600, 1200)}
    return cv2.resize(dotted(2)[0], size[kind], interpolation=cv2.INTER_AREA)[None]


@pytest.mark.parametrize(
    "kind", ["as rendered", "odd", "small", "large", "on end", "three together"]
)
@pytest.mark.parametrize("has_box", [False, True], ids=["alone", "with a box"])
def test_onnx_runtime_and_pytorch_give_the_same_outputs(network, session, kind, has_box):
    pictures = batch(kind)
    inputs = network_inputs(pictures)
    if has_box:
        inputs["boxes"][:] = [9.0, 1.0, -1.0, 0.0]
    found = Outputs(*session.run(None, inputs))
    given = torch.from_numpy(inputs["boxes"]) if has_box else None
    with torch.inference_mode():
        expected = EndToEnd(network, ABOUT, "both").eval()(torch.from_numpy(pictures), given)
    for mine, its in zip(found, expected, strict=True):
        assert mine.shape == its.shape
        assert mine.dtype == its.numpy().dtype
    expected = Outputs(*(part.numpy() for part in expected))
    assert expected.confidence.min() > 0.5
    visible = expected.visibility > 0.5  # a hidden corner has no peak
    assert abs(found.keypoints - expected.keypoints)[visible].max() < 0.1
    for name in ("cards", "low", "high"):
        assert abs(getattr(found, name) - getattr(expected, name)).max() < 0.01
    for name in ("visibility", "confidence", "rotation"):
        assert abs(getattr(found, name) - getattr(expected, name)).max() < 1e-3
    assert abs(found.box - expected.box).max() < 0.05
    assert (found.corners == expected.corners).all()


def test_compared_pictures_have_clear_peaks(network):
    """No other place is nearly as high as a peak; the test above relies on it."""
    pictures = torch.from_numpy(batch("three together"))
    seen = []
    hook = network.heatmaps.register_forward_hook(lambda *args: seen.append(args[2]))
    with torch.inference_mode():
        found = EndToEnd(network, ABOUT, "both").eval()(pictures)
    hook.remove()
    heatmaps = seen[0]
    peak = heatmaps.amax(dim=(2, 3), keepdim=True)
    round_it = F.max_pool2d((heatmaps == peak).float(), 5, 1, 2) > 0
    other = torch.where(round_it, -1, heatmaps).amax(dim=(2, 3))
    visible = found.visibility > 0.5
    assert visible.sum() >= 15
    assert (peak[..., 0, 0] - other)[visible].min() > 0.1


def test_the_file_holds_its_metadata(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    metadata = json.loads({p.key: p.value for p in model.metadata_props}["cardpose"])
    assert {name: metadata[name] for name in ABOUT} == ABOUT
    assert metadata["keypoints"] == list(KEYPOINTS)
    assert metadata["edges"] == [list(edge) for edge in EDGES]
    assert metadata["count"] == "both"
    assert metadata["metrics"] == {"cards": {"mae": 1.5}}
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in shape] == ["n", "height", "width", 3]
    assert {node.domain for node in model.graph.node} == {""}


def test_the_reference_names_all_that_the_file_holds(path):
    page = (REPOSITORY / "docs/reference/onnx.md").read_text(encoding="utf-8")
    tables = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    named = {table.split()[0]: re.findall(r"^\| `(\w+)`", table, re.MULTILINE) for table in tables}
    model = onnx.load(path)
    assert named["Inputs"] == [each.name for each in model.graph.input]
    assert named["Outputs"] == [each.name for each in model.graph.output]
    stored = json.loads(model.metadata_props[0].value)
    assert sorted(named["Metadata"]) == sorted({**stored, "dataset": ""})  # of stages/export.py


@pytest.mark.parametrize(("bits", "smaller"), [(16, 0.8), (8, 0.7)])
def test_fewer_bits_give_nearly_the_same_count(path, tmp_path, bits, smaller):
    small = tmp_path / "small.onnx"
    shrink_onnx(path, small, bits)
    assert small.stat().st_size < smaller * path.stat().st_size
    onnx.checker.check_model(onnx.load(small), full_check=True)
    assert check_onnx(small.read_bytes()) == check_onnx(path.read_bytes())
    pictures = batch("three together")
    counts = [
        onnxruntime.InferenceSession(file).run(["cards"], network_inputs(pictures))[0]
        for file in (path, small)
    ]
    assert abs(counts[1] - counts[0]).max() < 0.1
    assert (counts[1] != counts[0]).any()


def test_weights_in_8_bits_are_within_half_a_step(path, tmp_path):
    shrink_onnx(path, tmp_path / "small.onnx", 8)
    whole, small = (
        {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(file).graph.initializer}
        for file in (path, tmp_path / "small.onnx")
    )
    integers = [name for name, values in small.items() if values.dtype == np.int8]
    assert integers
    for name in integers:
        weights = whole[name.removesuffix("_stored")]
        axes = tuple(range(1, weights.ndim))
        step = abs(weights).max(axes, keepdims=True) / 127
        restored = small[name] * small[name.replace("_stored", "_scale")]
        assert (abs(restored - weights) <= 0.501 * step).all()


def operators(graph):
    """Return the operators of a graph and of the graphs inside it."""
    inner = (a.g for node in graph.node for a in node.attribute if a.type == a.GRAPH)
    return {node.op_type for node in graph.node}.union(*map(operators, inner))


def test_only_the_operators_of_an_export_may_be_loaded(path):
    assert operators(onnx.load(path).graph) == OPERATORS


def test_the_same_network_gives_the_same_bytes(network, path, tmp_path):
    again = tmp_path / "again.onnx"
    export_onnx(again, network, ABOUT, "both", {"cards": {"mae": 1.5}})
    assert again.read_bytes() == path.read_bytes()
