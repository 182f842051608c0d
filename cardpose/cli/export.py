"""The command `cardpose export`: write a network as an ONNX file."""

import argparse
from pathlib import Path

from cardpose.cli.own_files import check_free
from cardpose.cli.shared import FORCE_HELP, chosen_network, refuse_overwriting
from cardpose.common.errors import InputError, print_line
from cardpose.common.files import atomic_output
from cardpose.inference.networks import TORCH_NETWORKS
from cardpose.inference.predictor import load

# Largest differences between a network and its ONNX file.
_CARDS, _CONFIDENCE = 0.1, 0.01


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a network as one ONNX file, which counts without PyTorch, in the browser and in"
        " other languages. Check that it says the same as the network."
    )
    parser.set_defaults(run=run_export, failed=1)
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        type=Path,
        metavar="MODEL",
        help=f".safetensors file of the network (default: {TORCH_NETWORKS[0]}, or"
        f" {TORCH_NETWORKS[1]})",
    )
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="file to write (default: MODEL with the suffix .onnx)",
    )
    add("--half", action="store_true", help="store weights in 16 bits, which halves the file")
    add("--force", action="store_true", help=FORCE_HELP)


def run_export(chosen: argparse.Namespace) -> None:
    """Write the ONNX file, compare it with the network, and say where it is."""
    from cardpose.inference.export import export_onnx
    from cardpose.network.weights import load_network

    model = chosen.model or chosen_network(".safetensors")
    output = chosen.output or model.with_suffix(".onnx")
    if output.suffix != ".onnx":
        raise InputError(f"{output}: should be a .onnx file")
    refuse_overwriting([model], [output])
    check_free(output, _is_network, chosen.force)
    network, metadata = load_network(model)
    with atomic_output(output) as path:
        export_onnx(path, network, metadata, "both", {}, chosen.half)
        _check_export(model, path)
    print_line(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def _check_export(model: Path, output: Path) -> None:
    """Raise an error if an ONNX file and its network differ on a rendered picture of 20 cards."""
    from cardpose.rendering.renderer import Renderer
    from cardpose.rendering.scenes import random_scene

    picture = Renderer(random_scene(0, 20, 8)).frame(2)
    expected, found = (load(path).predict(picture) for path in (model, output))
    differ = abs(found.confidence - expected.confidence) > _CONFIDENCE
    if expected.packet:  # otherwise nothing settles the count
        differ |= abs(found.cards - expected.cards) > _CARDS
    if differ:
        raise InputError(
            f"{output}: counts {found} in a rendered picture where {model} counts {expected}"
        )


def _is_network(path: str | Path) -> bool:
    """Return whether a file is a network that cardpose exported."""
    try:
        load(path)
    except InputError:
        return False
    return True
