"""Draw the network with the shapes of its tensors and its numbers of parameters.

    python -m docs.figures.architecture

Shapes and numbers come from the network itself: hooks record them while it predicts one picture.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cardpose.network.model import CardPose
from cardpose.network.weights import load_network
from docs.figures.style import PICTURES, ROOT
from docs.figures.svg import Svg

TARGET = PICTURES / "architecture.svg"
NETWORK = ROOT / "models/pretrained.safetensors"
_WIDTH, _HEIGHT = 960, 712
_COLUMN, _MIDDLE = 78, 165  # distance of two blocks, and height of their middles, in pixels


class Part(NamedTuple):
    """Module of the network: shapes for one picture, and number of parameters."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    parameters: int


def measure(network: CardPose) -> dict[str, Part]:
    """Return the parts of a network by name, in the order in which they run."""
    parts: dict[str, Part] = {}

    def hook(name: str):
        def record(module: nn.Module, inputs: tuple[Tensor, ...], outputs: object) -> None:
            first = outputs[0] if isinstance(outputs, tuple) else outputs
            assert isinstance(first, Tensor)
            parts[name] = Part(tuple(inputs[0].shape), tuple(first.shape), parameters(module))

        return record

    handles = [
        module.register_forward_hook(hook(name))
        for name, module in network.named_modules()
        if name and not isinstance(module, nn.ModuleList)
    ]
    width, height = network.image_size
    with torch.inference_mode():
        network.predict(torch.zeros(1, 3, height, width), torch.zeros(1, 3, 2 * height, 2 * width))
    for handle in handles:
        handle.remove()
    return parts


def parameters(module: nn.Module) -> int:
    """Return the number of parameters of a module, fixed ones included."""
    return sum(each.numel() for each in module.parameters())


def draw(network: CardPose) -> str:
    """Return the figure as the text of an SVG file."""
    parts = measure(network)
    figure = Svg(_WIDTH, _HEIGHT, "Architecture of the network, with shapes and parameter counts")
    _draw_unet(figure, network, parts)
    _draw_head(figure, parts)
    _draw_refinement(figure, network, parts)
    return figure.source()


def _draw_unet(figure: Svg, network: CardPose, parts: dict[str, Part]) -> None:
    levels = range(len(network.down))
    encoder = ["stem", *(f"down.{i}" for i in levels)]
    decoder = [f"up.{i}" for i in range(len(network.up))]
    picture = Part((), parts["stem"].inputs, 0)
    blocks = [("picture", picture), *((name, parts[name]) for name in encoder)]
    for i, name in enumerate(decoder):
        part = parts[name]
        both = part.parameters + parts[f"narrow.{i}"].parameters
        blocks.append((name, part._replace(parameters=both)))
    blocks.append(("heatmaps", parts["heatmaps"]))
    figure.text(20, 30, "1. Look at the whole picture: a small UNet", "title", "start")
    total = f"{parameters(network):,} parameters in all"
    figure.text(_WIDTH - 20, 30, total, "faint", "end")
    tops = {}
    for column, (name, part) in enumerate(blocks):
        _, channels, rows, columns = part.outputs
        x, high = 52 + _COLUMN * column, 34 * (rows / 4) ** 0.36
        tops[name] = x, _MIDDLE - high / 2
        kind = "plain" if name == "picture" else "main"
        figure.rect(x - 17, _MIDDLE - high / 2, 34, high, kind)
        if column:
            figure.path(f"M{x - _COLUMN + 18} {_MIDDLE}H{x - 19}")
        label = {"picture": "picture", "heatmaps": "heatmaps"}.get(name)
        if label:
            figure.text(x, _MIDDLE - high / 2 - 8, label, "bold")
        figure.text(x, 258, f"{channels} ×", "bold")
        figure.text(x, 275, f"{rows} × {columns}")
        if part.parameters:
            figure.text(x, 292, f"{part.parameters:,}", "faint")
    skips = [f"down.{i}" for i in levels][: len(decoder)][::-1]
    for deep, name in zip(skips, decoder, strict=True):
        (a, top), (b, _) = tops[deep], tops[name]
        peak = top - (b - a) / 9
        figure.path(f"M{a} {top - 2}C{a} {peak} {b} {peak} {b} {top - 3}", "skip")
    figure.text(52 + 4 * _COLUMN, 312, "encoder", "faint")
    figure.text(52 + 8.5 * _COLUMN, 312, "decoder", "faint")


def _draw_head(figure: Svg, parts: dict[str, Part]) -> None:
    """Draw what counts and predicts visibility from the features of the whole picture."""
    features = parts["head.visible"].inputs[1]
    deepest, finest = parts["narrow.0"].inputs[1], parts["heatmaps"].inputs[1]
    hidden = parts["head.visible.0"].outputs[1]
    shape = parts["head.geometry.layers.0"].inputs[1]
    top = 345
    figure.text(20, top, "2. Count, and say which corners are visible", "title", "start")
    figure.box(20, top + 15, 190, ["mean over the picture", f"{deepest} deepest features"], "main")
    figure.box(
        20, top + 75, 190, ["at the eight peaks", f"8 × ({finest} features + height)"], "main"
    )
    figure.box(290, top + 44, 120, [f"{features} features"], "plain")
    figure.path(f"M211 {top + 38}C250 {top + 38} 250 {top + 56} 288 {top + 56}")
    figure.path(f"M211 {top + 98}C250 {top + 98} 250 {top + 66} 288 {top + 66}", "arrow cut")
    outputs = (
        ("visibility of 8 corners", "head.visible", f"{features} → {hidden} → 8"),
        ("count “picture”", "head.picture", f"{features} → {hidden} → 1"),
    )
    for i, (title, name, layers) in enumerate(outputs):
        y = top + 7 + 60 * i
        number = f"{layers}: {parts[name].parameters:,}"
        figure.box(480, y, 200, [title, number], "count" if i else "main")
        figure.path(f"M411 {top + 60}C445 {top + 60} 445 {y + 24} 478 {y + 24}")
    figure.box(
        725,
        top + 67,
        215,
        [
            "count “keypoints”",
            f"{shape} → {hidden} → {hidden} → 1: {parts['head.geometry'].parameters:,}",
        ],
        "count",
    )
    figure.text(832, top + 22, "places of the corners, from the", "faint")
    figure.text(832, top + 38, "peaks of the heatmaps", "faint")
    figure.path(f"M832 {top + 44}V{top + 65}", "arrow cut")
    figure.text(
        20,
        top + 147,
        "Dashed: detached. No loss of count or visibility reaches the decoder or the heatmaps.",
        "faint",
        "start",
    )


def _draw_refinement(figure: Svg, network: CardPose, parts: dict[str, Part]) -> None:
    """Draw close-ups, strips, the fitted box and the count of the packet's shape."""
    top = 530
    join = parts["closer.join"]
    closer = parts["closer"].parameters - parts["closer.geometry"].parameters
    _, corners, _, side, _ = parts["closer"].inputs
    _, edges, _, across, along = parts["tracer"].inputs
    points = parts["tracer"].outputs[2]
    figure.text(
        20, top, "3. Look closer, in the picture at twice the size, and fit a box", "title", "start"
    )
    figure.box(
        20,
        top + 15,
        210,
        [
            f"{corners} close-ups of {side} × {side}",
            f"convolutions, {join.outputs[1]} → 2: {closer:,}",
            "corners to a fraction of a pixel",
        ],
        "main",
    )
    figure.box(
        20,
        top + 105,
        210,
        [
            f"{edges} strips of {across} × {along}",
            f"traced at {points} points: {parts['tracer'].parameters:,}",
            "edges, with expected errors",
        ],
        "main",
    )
    figure.box(
        310,
        top + 60,
        190,
        ["box fitted to both", "size of a card; fits thickness,", "lean, twist and pose"],
        "plain",
    )
    figure.path(f"M231 {top + 55}C270 {top + 55} 270 {top + 84} 308 {top + 84}")
    figure.path(f"M231 {top + 137}C270 {top + 137} 270 {top + 104} 308 {top + 104}")
    figure.path(f"M340 {top + 127}C320 {top + 165} 270 {top + 155} 232 {top + 147}")
    figure.text(330, top + 170, "strips follow its edges", "faint", "start")
    figure.box(
        560,
        top + 5,
        170,
        ["count from corners", f"geometry: {parts['closer.geometry'].parameters:,}"],
        "count",
    )
    figure.box(
        560, top + 74, 170, ["count of the box", f"thickness / {network.card_height:g} mm"], "count"
    )
    figure.path(f"M231 {top + 35}H558")
    figure.path(f"M501 {top + 98}H558")
    figure.box(
        790, top + 52, 150, ["count “both”", "weighted mean with", "count “picture”"], "count"
    )
    figure.path(f"M731 {top + 30}C760 {top + 30} 760 {top + 72} 788 {top + 72}")
    figure.path(f"M731 {top + 98}C760 {top + 98} 760 {top + 92} 788 {top + 92}")


def main() -> None:
    network, _ = load_network(NETWORK)
    TARGET.write_text(draw(network), encoding="utf-8")


if __name__ == "__main__":
    main()
