"""The command `cardpose export`: write a network as an ONNX file, or make such a file smaller."""

import argparse
from pathlib import Path

from cardpose.cli.own_files import check_free
from cardpose.cli.shared import FORCE_HELP, chosen_network, refuse_overwriting
from cardpose.common.errors import InputError, print_line
from cardpose.common.files import atomic_output
from cardpose.inference.networks import TORCH_NETWORKS
from cardpose.inference.predictor import load

# Largest differences between a network and its ONNX file, in cards by the bits of a weight.
_CARDS, _CONFIDENCE = {32: 0.1, 16: 0.1, 8: 0.3}, 0.01


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a network as one ONNX file, which counts without PyTorch, in the browser and in"
        " other languages. Check that it counts a rendered packet like the network."
    )
    parser.set_defaults(run=run_export, failed=1)
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        type=Path,
        metavar="MODEL",
        help=".safetensors file of the network, or an .onnx file to make smaller (default:"
        f" {TORCH_NETWORKS[0]}, or {TORCH_NETWORKS[1]})",
    )
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="file to write (default: MODEL with the suffix .onnx)",
    )
    bits = parser.add_mutually_exclusive_group()
    bits.set_defaults(bits=32)
    for option, number, size in (("--half", 16, "half"), ("--int8", 8, "a third")):
        bits.add_argument(
            option,
            dest="bits",
            action="store_const",
            const=number,
            help=f"store large weights in {number} bits, which makes the file {size} as large",
        )
    add("--force", action="store_true", help=FORCE_HELP)


def run_export(chosen: argparse.Namespace) -> None:
    """Write the ONNX file, compare it with the network, and print its name and size."""
    from cardpose.inference.export import export_onnx, shrink_onnx
    from cardpose.network.weights import load_network

    model = chosen.model or chosen_network(".safetensors")
    output = chosen.output or model.with_suffix(".onnx")
    if output.suffix != ".onnx":
        raise InputError(f"{output}: should be a .onnx file")
    refuse_overwriting([model], [output])
    check_free(output, _is_network, chosen.force)
    with atomic_output(output) as path:
        if model.suffix == ".onnx":
            load(model)  # refuses files that cardpose did not export
            shrink_onnx(model, path, chosen.bits)
        else:
            export_onnx(path, *load_network(model), "both", {})
            shrink_onnx(path, path, chosen.bits)
        _check_export(model, path, chosen.bits)
    print_line(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def _check_export(model: Path, output: Path, bits: int) -> None:
    """Raise an error if an ONNX file and its network differ on a rendered picture of 20 cards."""
    from cardpose.rendering.renderer import Renderer
    from cardpose.rendering.scenes import random_scene

    picture = Renderer(random_scene(0, 20, 8)).frame(2)
    expected, found = (load(path).predict(picture) for path in (model, output))
    differ = abs(found.confidence - expected.confidence) > _CONFIDENCE
    if expected.packet:  # the count is arbitrary without one
        differ |= abs(found.cards - expected.cards) > _CARDS[bits]
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
