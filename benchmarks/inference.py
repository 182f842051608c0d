"""How long a picture takes, from pixels to corners, edges and a count, and how good the count is.

    python -m benchmarks.inference

Measures PyTorch, and ONNX Runtime with the network as exported, with weights stored in 8 bits
(`cardpose export --int8`) and with convolutions calculated in 8 bits, at one and two threads, in
turn and many times over, with the trained network where there is one. Times are the shortest ones,
which other programs disturb least; the rows of one run compare with each other, rows of different
runs or machines do not. Where there are frames, the mean absolute error is that of the held-out
ones.
"""

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from benchmarks.training import untrained
from cardpose.common.onnx_runtime import import_onnxruntime
from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import read_tensors
from cardpose.inference.end_to_end import EndToEnd
from cardpose.inference.export import export_onnx, shrink_onnx
from cardpose.network.weights import load_network
from cardpose.params import load_params
from cardpose.pictures.reading import read_picture

onnxruntime = import_onnxruntime()
quantization = import_onnxruntime("onnxruntime.quantization")

_ROUNDS = 50
_CALIBRATING = 64  # pictures
_THREADS = (1, 2)
_SIZE = (480, 640)  # of a picture that is timed: height, width


def main():
    params = load_params()
    pictures, frames = held_out(params)
    with tempfile.TemporaryDirectory() as folder:
        names = {"ONNX": "float", "ONNX, --int8": "weights", "ONNX, 8 bits": "convolutions"}
        files = {name: Path(folder) / f"{stem}.onnx" for name, stem in names.items()}
        network, about = trained(params)
        export_onnx(files["ONNX"], network, about, params.count.source, {})
        shrink_onnx(files["ONNX"], files["ONNX, --int8"], 8)
        quantize(files["ONNX"], files["ONNX, 8 bits"], pictures("train", _CALIBRATING))
        counter = EndToEnd(network, about, params.count.source).eval()
        engines = {("PyTorch", n): pytorch(counter, n) for n in _THREADS}
        engines |= {
            (name, n): onnx_runtime(file, n) for name, file in files.items() for n in _THREADS
        }
        sizes = {name: file.stat().st_size / 1e6 for name, file in files.items()}
    picture = next(pictures("test", 1))
    times = {row: [] for row in engines}
    for _ in range(_ROUNDS):
        for row, engine in engines.items():
            start = perf_counter()
            engine(picture)
            times[row].append(perf_counter() - start)
    print(f"{'engine':14}{'threads':>8}{'ms':>8}{'ratio':>7}{'MB':>7}{'cards off':>11}")
    first = min(times["PyTorch", 1])
    for (name, threads), spent in times.items():
        ms, ratio = 1000 * min(spent), first / min(spent)
        off = error(engines[name, threads], pictures, frames) if threads == 1 else ""
        size = f"{sizes[name]:.1f}" if name in sizes else ""
        print(f"{name:14}{threads:8}{ms:8.1f}{ratio:7.2f}{size:>7}{off:>11}")


def trained(params):
    """The trained network and its `about`, or an untrained one, which takes as long."""
    path = Path("models/cardpose.safetensors")
    if path.exists():
        return load_network(path)
    known = params.geometry
    about = {"image_size": params.image_size, "deck": 52, "focal": known.focal, "card": known.card}
    return untrained(params, params.model.encoder).eval(), {**about, "margins": None}


def held_out(params):
    """A function that gives pictures (1, height, width, 3) RGB of a role, at most so many, evenly
    spread, or noise where there are no frames; and the table of the held-out frames, or None."""
    if not Path("data/tensors").exists():
        rng = np.random.default_rng(0)
        return lambda role, n: (
            rng.integers(0, 256, (1, *_SIZE, 3), dtype=np.uint8) for _ in range(n)
        ), None
    frames = read_tensors("data/tensors").frames
    role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)

    def pictures(wanted, n):
        rows = np.flatnonzero(role == wanted)
        for row in rows[np.unique(np.linspace(0, len(rows) - 1, n).astype(int))]:
            picture = read_picture(Path("data/frames") / frames["file"].iloc[row])
            yield np.ascontiguousarray(picture[None, ..., ::-1])

    return pictures, frames[role == "test"]


def pytorch(counter, threads):
    """A function from a picture to its count."""

    def count(picture):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return float(counter(torch.from_numpy(picture)).cards)

    return count


def onnx_runtime(file, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
    return lambda picture: float(session.run(["cards"], _inputs(picture))[0][0])


class Calibration(quantization.CalibrationDataReader):
    def __init__(self, pictures):
        self.pictures = pictures

    def get_next(self):
        picture = next(self.pictures, None)
        return None if picture is None else _inputs(picture)


def _inputs(picture):
    """Return the inputs of the network, without a box of the packet."""
    return {"pictures": picture, "boxes": np.full((1, 4), np.nan, np.float32)}


def quantize(file, target, pictures):
    """Write a network with its convolutions in 8 bits; the fit of the box stays as it is."""
    quantization.quantize_static(
        file,
        target,
        Calibration(pictures),
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )


def error(engine, pictures, frames):
    """The mean absolute error of the held-out frames in cards, as text."""
    if frames is None:
        return "-"
    counts = [engine(picture) for picture in pictures("test", len(frames))]
    return f"{np.mean(abs(np.array(counts) - frames['cards_counted'].to_numpy())):.2f}"


if __name__ == "__main__":
    main()
