"""A trained network as one ONNX file, for whatever runs ONNX: phones, browsers, other languages.

The file takes a picture of any size and gives places, visibility and count, see `cardpose.counter`;
what else there is to know about it stands in its metadata.
"""

import json
import warnings

import onnx
import torch

from cardpose.counter import Counted, Counter
from cardpose.keypoints import EDGES, KEYPOINTS

OPSET = 20
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
        network, about: as `prediction.load_network` returns them.
        count: the way of counting, one of `model.COUNTS`.
        metrics: what `evaluation.evaluate` reported of it.
    """
    counter = Counter(network, about, count).eval()
    picture = torch.zeros(1, 48, 64, 3, dtype=torch.uint8)
    axes = {"pictures": {0: "n", 1: "height", 2: "width"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of constants, which are meant to be constant
        torch.onnx.export(
            counter,
            (picture,),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["pictures"],
            output_names=list(Counted._fields),
            dynamic_axes={**axes, **{name: {0: "n"} for name in Counted._fields}},
        )
    model = onnx.load(path)
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
