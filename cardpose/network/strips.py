"""Strips: straightened surroundings of a packet's edges, used to trace the edges.

A strip follows an edge and reaches REACH detail pixels to either side of the edge's expected place.
Strips are cut from `details`, which are DETAIL times the size of the network's pictures. Points are
in pixels of the network's pictures.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Num
from torch import Tensor, nn

from cardpose.geometry.box import KINDS, BoxModel
from cardpose.geometry.box_fit import TracedEdges
from cardpose.geometry.projection import Pose
from cardpose.network.blocks import conv, sample_colours
from cardpose.pictures.letterbox import DETAIL

LENGTH = 48  # pixels along a strip, for edges of any length
REACH = 12  # detail pixels to either side of the edge
POINTS = 12  # points traced on each edge
SHORTEST = (10.0, 2.0)  # least length of traced edges, network pixels: flat, upright
_ENDS = 0.04  # fraction of an edge skipped at each end, where a card's corner is round
_BLUR = 0.05  # detail pixels, added to the tracer's expected error


def shares(count: int) -> Float64[np.ndarray, " count"]:
    """Return the middles of `count` equal parts of a strip, as places on the edge, 0 to 1."""
    return _ENDS + (1 - 2 * _ENDS) * (np.arange(count) + 0.5) / count


ALONG, TRACED = shares(LENGTH), shares(POINTS)  # places of columns and traced points


def normals(
    starts: Float[Tensor, "n 12 2"], ends: Float[Tensor, "n 12 2"]
) -> Float[Tensor, "n 12 2"]:
    """Return the unit normals of a packet's edges, pointing away from its middle.

    Edges are in the order of `keypoints.EDGES`.
    """
    along = ends - starts
    normal = torch.stack([along[..., 1], -along[..., 0]], dim=-1)
    normal = normal / normal.square().sum(dim=-1, keepdim=True).clamp(min=1e-12).sqrt()
    back, face = starts[:, :4].mean(dim=1), starts[:, 4:8].mean(dim=1)
    middles = torch.stack([back, face, (back + face) / 2], dim=1)
    middles = middles.repeat_interleave(4, dim=1)  # one per edge
    away = (normal * ((starts + ends) / 2 - middles)).sum(dim=-1, keepdim=True)
    return torch.where(away < 0, -normal, normal)


def sample_strips(
    details: Num[Tensor, "n 3 height width"],
    starts: Float[Tensor, "n 12 2"],
    ends: Float[Tensor, "n 12 2"],
    normal: Float[Tensor, "n 12 2"],
) -> Float[Tensor, "n 12 3 across along"]:
    """Cut strips along edges, by bilinear interpolation.

    Args:
        details: pictures at DETAIL times the size of the network's pictures.
        starts, ends: of the edges, in pixels of the network's pictures.
        normal: of the edges, as `normals` returns them.

    Returns:
        strips of 2 REACH + 1 rows, from the packet outward, and LENGTH columns along the edge.
        Colours keep their range.
    """
    return sample_colours(details, strip_places(starts.float(), ends.float(), normal.float()))


def strip_places(
    starts: Float[Tensor, "n k 2"], ends: Float[Tensor, "n k 2"], normal: Float[Tensor, "n k 2"]
) -> Float[Tensor, "n k across along 2"]:
    """Return the places of all pixels of strips, in detail pixels; see `sample_strips`."""
    share = torch.as_tensor(ALONG, dtype=starts.dtype, device=starts.device)[:, None]
    along = starts[:, :, None] + (ends - starts)[:, :, None] * share
    out = torch.arange(-REACH, REACH + 1, dtype=starts.dtype, device=starts.device)
    return DETAIL * along[:, :, None] + normal[:, :, None, None] * out[:, None, None]


def long_enough(
    starts: Float[Tensor, "n 12 2"], ends: Float[Tensor, "n 12 2"]
) -> Bool[Tensor, "n 12"]:
    """Return which edges are long enough to be traced; see SHORTEST."""
    least = starts.new_tensor([SHORTEST[0]] * 8 + [SHORTEST[1]] * 4)
    return (ends - starts).square().sum(dim=-1) > least.square()


def side_heights(keypoints: Float[Tensor, "n 8 2"]) -> Float[Tensor, " n"]:
    """Return the mean height of each packet's sides in the picture, in detail pixels.

    It is the mean length of the four upright edges between the keypoints.
    """
    upright = keypoints[:, [0, 1, 4, 5]] - keypoints[:, [2, 3, 6, 7]]
    return DETAIL * upright.square().sum(dim=2).sqrt().mean(dim=1)


class Tracer(nn.Module):
    """Part of the network that finds a packet's edges in strips.

    It is fully convolutional, so it treats all places in a strip alike.

    Args:
        width: channels of each convolution.
    """

    taught: Tensor

    def __init__(self, width: int = 24):
        super().__init__()
        self.features = nn.Sequential(
            conv(3 + KINDS + 1, width, stride=(1, 2), kernel=5),
            conv(width, width, stride=(1, 2)),
            conv(width, width),
            conv(width, width),
        )
        self.found = nn.Conv2d(width, 2, 1)
        self.register_buffer("taught", torch.zeros(()))  # 1 after training; 0 sets weights to 0

    def forward(
        self,
        strips: Num[Tensor, "n k 3 across along"],
        kinds: Bool[Tensor, "n k kinds"],
        heights: Float[Tensor, " n"],
    ) -> tuple[Float[Tensor, "n k points"], Float[Tensor, "n k points"]]:
        """Predict the places of edges in their strips, and the errors of these places.

        Args:
            strips: RGB, 0 to 255, as `sample_strips` cuts them.
            kinds: of the edges, see `box.BoxEdges`.
            heights: of the packets' sides in detail pixels, as `side_heights` returns them. They
                tell the distance between the edges of the back and the face.

        Returns:
            distances from the strip's middle line at POINTS points, in detail pixels, positive
            away from the packet; and the logarithm of each distance's expected error.
        """
        height = (heights / 10).clamp(0, 3)[:, None, None].expand(-1, kinds.shape[1], 1)
        context = torch.cat([kinds.float(), height], dim=2)[..., None, None]
        context = context.expand(-1, -1, -1, *strips.shape[3:])
        x = torch.cat([strips.float() / 127.5 - 1, context], dim=2)
        found = self.found(self.features(x.flatten(0, 1))).float().unflatten(0, strips.shape[:2])
        score, spread = found.unbind(dim=2)
        chance = score.softmax(dim=2)
        out = torch.arange(-REACH, REACH + 1, device=strips.device)[:, None].float()
        distance = (chance * out).sum(dim=2)
        width = (chance * (out - distance[:, :, None]) ** 2).sum(dim=2)
        spread = spread.mean(dim=2) + (width + 0.05).log() / 2
        return distance, spread.clamp(-4, 4)


def trace_strips(
    tracer: Tracer, box: BoxModel, details: Num[Tensor, "n 3 height width"], pose: Pose
) -> TracedEdges:
    """Trace a packet's edges near their places in a pose.

    Weights are 0 for hidden edges, for edges that are too short, and for points outside the
    picture. All weights are 0 if the tracer is untrained.
    """
    starts, ends, kinds, edge_points = box.edges(pose)
    normal = normals(starts, ends)
    strips = sample_strips(details, starts, ends, normal)
    heights = side_heights(box.keypoints(pose)).float()
    distance, spread = tracer(strips, kinds, heights)
    share = torch.as_tensor(TRACED, device=details.device)
    along = ends - starts
    at = starts[:, :, None] + along[:, :, None] * share[:, None]
    size = at.new_tensor(box.size)
    inside = ((at > 1) & (at < size - 1)).all(dim=-1)
    used = inside & (kinds.any(dim=-1) & long_enough(starts, ends))[..., None]
    place = (at * normal[:, :, None]).sum(dim=-1) + distance.double() / DETAIL
    weight = tracer.taught * DETAIL / (spread.double().exp() + _BLUR)
    return TracedEdges(share, normal, place, torch.where(used, weight, 0.0), edge_points)
