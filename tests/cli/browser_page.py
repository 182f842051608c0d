"""Helpers of tests that use the page in a real browser."""

import json
import shutil
import subprocess
import threading
from contextlib import contextmanager

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import ARGUMENTS, BROWSERS, PATIENCE, network_inputs

from cardpose.common.onnx_runtime import import_onnxruntime

POLICY = "default-src 'self'"
INDEX = f"""<meta http-equiv="Content-Security-Policy" content="{POLICY}">""".encode()
OUTPUTS = {
    "keypoints": (8, 2),
    "visibility": (8,),
    "cards": (),
    "low": (),
    "high": (),
    "confidence": (),
    "rotation": (3, 3),
    "box": (8,),
    "corners": (8,),
    "information": (4, 4),
    "vector": (4,),
}


def write_colour_network(path):
    """Write an ONNX file with the inputs and outputs of an exported network to `path`.

    Cards are 52 times the picture's mean red. Much blue makes the interval wide, no green means no
    packet. The corners stand at the same shares of every picture; the last is hidden.
    """
    constants, nodes = [], []

    def constant(name, value, kind=np.float32):
        constants.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    node("Cast", ["pictures"], "floats", to=TensorProto.FLOAT)
    node("ReduceMean", ["floats", constant("sides", [1, 2], np.int64)], "sum", keepdims=0)
    node("Div", ["sum", constant("white", 255)], "mean")
    for place, colour in enumerate(("red", "green", "blue")):
        node("Gather", ["mean", constant(f"at_{colour}", place, np.int64)], colour, axis=1)
    node("Mul", ["red", constant("deck", 52)], "cards")
    node("Sub", ["blue", constant("much", 0.8)], "bluer")
    node("Relu", ["bluer"], "excess")
    node("Mul", ["excess", constant("steep", 100)], "wider")
    node("Add", ["wider", constant("usual", 3)], "margin")
    node("Sub", ["cards", "margin"], "low")
    node("Add", ["cards", "margin"], "high")
    node("Mul", ["green", constant("four", 4)], "greener")
    node("Clip", ["greener", constant("zero", 0), constant("one", 1)], "confidence")
    node("Shape", ["pictures"], "shape")
    node("Gather", ["shape", constant("first", [0], np.int64)], "n", axis=0)
    node("Gather", ["shape", constant("size", [2, 1], np.int64)], "whole", axis=0)
    node("Cast", ["whole"], "pixels", to=TensorProto.FLOAT)

    def for_each(name, value):
        node("Concat", ["n", constant(f"{name}_rest", value.shape, np.int64)], f"{name}_n", axis=0)
        return node("Expand", [constant(f"one_{name}", value, value.dtype), f"{name}_n"], name)

    back = [[0.3, 0.3], [0.6, 0.25], [0.45, 0.6], [0.75, 0.5]]
    face = [[x, y + 0.08] for x, y in back]
    order = [face[0], face[1], back[0], back[1], face[2], face[3], back[2], back[3]]
    node("Mul", [for_each("shares", np.array(order, np.float32)), "pixels"], "keypoints")
    for_each("visibility", np.array([0.1] + 7 * [0.9], np.float32))
    for_each("rotation", np.eye(3, dtype=np.float32))
    for_each("box", np.zeros(8, np.float32))
    for_each("corners", np.arange(8))
    for_each("information", np.zeros((4, 4), np.float32))
    for_each("vector", np.zeros(4, np.float32))
    outputs = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64 if name == "corners" else TensorProto.FLOAT, ["n", *shape]
        )
        for name, shape in OUTPUTS.items()
    ]
    picture = helper.make_tensor_value_info(
        "pictures", TensorProto.UINT8, ["n", "height", "width", 3]
    )
    boxes = helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph(nodes, "stand_in", [picture, boxes], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    about = {"image_size": [320, 240], "deck": 52, "focal": 1.06, "card": [63, 88, 0.3]}
    helper.set_model_props(model, {"cardpose": json.dumps({**about, "count": "picture"})})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def answer(model, pictures):
    """Return what the network gives for (n, height, width, 3) BGR pictures, {output: array}."""
    session = import_onnxruntime().InferenceSession(model)
    values = session.run(None, network_inputs(np.ascontiguousarray(pictures[..., ::-1])))
    return dict(zip([output.name for output in session.get_outputs()], values, strict=True))


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_film(path, frames, rate):
    """Write BGR frames as raw video, which Chromium's made-up camera plays at `rate` per second."""
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420mpeg2\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())


@contextmanager
def chromium(film):
    """Yield Chromium with a camera that shows a film over and over, or skip the test."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip("no Chromium: `make test` installs it on Debian as root")
    camera = f"--use-file-for-fake-video-capture={film}"
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=executable, args=[*ARGUMENTS, camera], timeout=PATIENCE
        )
        yield browser
        browser.close()


def run_node(script, *arguments, stdin=""):
    """Return what a JavaScript module prints."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    command = ["node", "--input-type=module", "--eval", script, *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def show(page, name, content, kind="image/png"):
    """Give a file to the page, as bytes or as a BGR picture."""
    if isinstance(content, np.ndarray):
        content = cv2.imencode(".png", content)[1].tobytes()
    page.set_input_files("#picker", {"name": name, "mimeType": kind, "buffer": content})


def state(page, *states):
    """Wait until the page is in one of these states."""
    page.wait_for_selector(", ".join(f"body[data-state={state}]" for state in states))


def plain(red, green, blue):
    return np.full((48, 64, 3), (blue, green, red), np.uint8)


def without_packages(_, names):
    """Leave node_modules out of a copy, for `shutil.copytree`."""
    return {"node_modules"} & set(names)
