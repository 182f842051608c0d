"""The network: a small UNet for the heatmaps, and beside it a head for the count.

The heatmaps reach the head detached from the graph: the count learns from where the corners are,
but never bends the heatmaps. A third part looks at each corner again, close up, and moves it to
where the count and the labels say it should be. A fourth traces the edges of the box that the
corners are the corners of. So there are three ways of counting, which can be compared: from the
picture, from the keypoints of the first look alone, and from all that is seen.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from cardpose.geometry.heatmaps import decode
from cardpose.geometry.keypoints import N_KEYPOINTS
from cardpose.geometry.pose import Edges, Packet, Pose
from cardpose.network import strips
from cardpose.network.blocks import conv, inverted_residual, two_convs
from cardpose.network.closeups import Closer, sample_closeups
from cardpose.network.heads import Head, at_corners
from cardpose.network.strips import Tracer
from cardpose.pictures.letterbox import DETAIL

COUNTS = ("picture", "keypoints", "both")  # the ways of counting
CLEAR = 0.8  # so high is the heatmap of a keypoint that is believed wholly


class Prediction(NamedTuple):
    """What a network says of n pictures: `cards` (n, 3) as a share of the deck, one column each of
    COUNTS; `points` (n, 8, 2) in pixels of its picture; `visibility` (n, 8) as logits; `peaks`
    (n, 8) how high the heatmaps' peaks are; the `pose` of the box; and `corners` (n, 8): for each
    keypoint of that box which of the points it is."""

    cards: torch.Tensor
    points: torch.Tensor
    visibility: torch.Tensor
    peaks: torch.Tensor
    pose: Pose
    corners: torch.Tensor


class BoxFit(NamedTuple):
    """Boxes fitted to the corners and edges of n pictures.

    `points` (n, 8, 2) in pixels of the network's picture, `visibility` (n, 8) as logits, `peaks`
    (n, 8) heights of the heatmaps' peaks and `weight` (n, 8), 0 to 1, of each point in the fit
    are in the order of the heatmaps. `cards` (n, 2) is a share of the deck, one column for each
    of the first two of COUNTS. `names` (n, 8) tells for each keypoint of the box which of the
    points it is. `corner_pose` is the pose of the box that fits the corners, `pose` of the one
    that fits the edges too."""

    points: torch.Tensor
    visibility: torch.Tensor
    peaks: torch.Tensor
    cards: torch.Tensor
    weight: torch.Tensor
    names: torch.Tensor
    corner_pose: Pose
    pose: Pose


class CardPose(nn.Module):
    """UNet with a second head, a second look, and a box.

    Args:
        widths: channels at 1/2, 1/4, 1/8, ... of the picture.
        stride: picture pixels a heatmap pixel: 2, 4 or 8.
        sigma: of the heatmaps it is trained on, in heatmap pixels.
        hidden: width of the fully connected layers in the count's head.
        image_size: (width, height) of the pictures.
        encoder: "plain", or "inverted" for MobileNet's blocks (see `inverted_residual`).
        focal: focal length of the camera in picture widths.
        card: (width, length, thickness) of a card in mm.
        deck: how many cards a whole deck has, of which counts are shares.
    """

    def __init__(self, widths, stride, sigma, hidden, image_size, encoder, focal, card, deck):
        super().__init__()
        self.stride, self.sigma, self.image_size = stride, sigma, image_size
        level = {"plain": two_convs, "inverted": inverted_residual}[encoder]
        finest = {2: 0, 4: 1, 8: 2}[stride]  # the level that the heatmaps are drawn at
        self.stem = conv(3, widths[0], stride=2)
        self.down = nn.ModuleList(level(a, b) for a, b in pairwise(widths))
        steps = [(deep, skip) for skip, deep in pairwise(widths[finest:])][::-1]
        self.narrow = nn.ModuleList(nn.Conv2d(deep, skip, 1) for deep, skip in steps)
        self.up = nn.ModuleList(conv(skip, skip) for _, skip in steps)
        self.heatmaps = nn.Conv2d(widths[finest], N_KEYPOINTS, 1)
        # Near zero, or the first steps crush every heatmap to nothing, and learning stalls.
        nn.init.normal_(self.heatmaps.weight, std=1e-3)
        nn.init.zeros_(self.heatmaps.bias)
        self.head = Head(widths[-1] + N_KEYPOINTS * (widths[finest] + 1), hidden, image_size)
        self.closer = Closer(hidden, image_size)
        self.packet = Packet(image_size, focal, card, deck)
        self.tracer = Tracer()
        self.deck_height = deck * card[2]

    def look(self, pictures, details, focal=None):
        """Find the corners, look closer, fit a box, and count the cards in every way.

        The last way is a mean of two counts that err differently: four fifths from the thickness
        of the box that fits corners and edges, one fifth from the corners seen close up.

        Args:
            pictures: as in `forward`, of `image_size`.
            details: (n, 3, DETAIL height, DETAIL width), the same larger.
            focal: (n,) focal lengths in pixels of `pictures`, where they are not the usual one.

        Returns:
            a `Prediction`.
        """
        fit = self.fit_boxes(pictures, details, focal)
        with torch.autocast(pictures.device.type, enabled=False):
            points = fit.points.gather(1, fit.names[..., None].expand(-1, -1, 2))
            visible = fit.visibility.gather(1, fit.names)
            # New names follow the rule; given ones may differ from it where it is nearly a tie.
            given = torch.arange(N_KEYPOINTS, device=fit.names.device)
            renamed = (fit.names != given).any(dim=1, keepdim=True)
            order = torch.where(renamed, self.packet.names(fit.pose), given)
            points = points.gather(1, order[..., None].expand(-1, -1, 2))
            visible = visible.gather(1, order)
            by_corners = self.closer.geometry(self.packet.as_usual(points, focal), visible > 0)
            by_box = (fit.pose.numbers[:, 3] / self.deck_height).clamp(0, 1).float()
            both = (by_corners + 4 * by_box) / 5
        cards = torch.cat([fit.cards, both[:, None]], dim=1)
        corners = order.argsort(dim=1)
        return Prediction(cards, points, visible, fit.peaks, fit.pose, corners)

    def fit_boxes(self, pictures, details, focal=None, thickness=None):
        """Find the corners, refine them in close-ups, and fit a box to them and to its edges.

        Args:
            pictures, details, focal: as in `look`.
            thickness: (n,) thickness of the packets in mm, where their count is known. It holds
                the box that is fitted to the corners, not the box that is fitted to the edges too.

        Returns:
            a `BoxFit`.
        """
        _, points, peaks, cards, visibility = self._first_look(pictures, focal)
        details = details.float()
        with torch.autocast(pictures.device.type, enabled=False):
            points = points + self.closer(sample_closeups(details, points)) / DETAIL
            # A weak peak may belong to another keypoint, or be shared by two names.
            weight = (visibility > 0) * (peaks / CLEAR).clamp(0.05, 1)
            corner_pose, names = self.packet.fit(points, weight, thickness, focal)
            named = points.gather(1, names[..., None].expand(-1, -1, 2))
            edges = self.trace(details, corner_pose)
            pose = self.packet.refine(corner_pose, named, weight.gather(1, names), edges, focal)
        return BoxFit(points, visibility, peaks, cards, weight, names, corner_pose, pose)

    def trace(self, details, pose):
        """Find a packet's edges close to where a pose has them: `pose.Edges`, without weight where
        an edge is hidden, short or not in the picture."""
        starts, ends, kinds, lines = self.packet.edges(pose)
        across = strips.normals(starts, ends)
        cut = strips.sample_strips(details, starts, ends, across)
        heights = strips.side_heights(self.packet.keypoints(pose)).float()
        off, spread = self.tracer(cut, kinds, heights)
        share = torch.as_tensor(strips.TRACED, device=details.device)
        along = ends - starts
        at = starts[:, :, None] + along[:, :, None] * share[:, None]
        size = at.new_tensor(self.image_size)
        inside = ((at > 1) & (at < size - 1)).all(dim=-1)
        counts = inside & (kinds.any(dim=-1) & strips.long_enough(starts, ends))[..., None]
        place = (at * across[:, :, None]).sum(dim=-1) + off.double() / DETAIL
        surely = self.tracer.taught * DETAIL / (spread.double().exp() + 0.05)
        weight = torch.where(counts, surely, 0.0)
        return Edges(share, across, place, weight, lines)

    def forward(self, pictures):
        """Find the corners, count the cards: the first look.

        Args:
            pictures: (n, 3, height, width) RGB, 0 to 255, uint8 or float; of `image_size`, or
                all of it made smaller.

        Returns:
            heatmaps (n, 8, height / stride, width / stride); cards (n, 2) as a share of the deck,
            counted in the first two of the ways in COUNTS; visibility (n, 8) as logits.
        """
        heatmaps, _, _, cards, visible = self._first_look(pictures)
        return heatmaps, cards, visible

    def _first_look(self, pictures, focal=None):
        x = self.stem(pictures.float() / 127.5 - 1)
        features = [x]
        for level in self.down:
            features.append(level(features[-1]))
        x = features.pop()
        deepest = x.mean(dim=(2, 3))
        for narrow, level in zip(self.narrow, self.up, strict=True):
            skip = features.pop()
            x = F.interpolate(narrow(x), size=skip.shape[2:], mode="nearest")
            x = level(x + skip)
        heatmaps = self.heatmaps(x)
        # In full precision: half a card is less than bfloat16 resolves in a packet's shape.
        with torch.autocast(pictures.device.type, enabled=False):
            detached = heatmaps.detach().float()
            points, peaks = decode(detached, self.stride, self.sigma)
            points = points * (self.image_size[0] / pictures.shape[3])
            looks = torch.cat([deepest.float(), at_corners(x.float(), detached), peaks], dim=1)
            cards, visible = self.head(self.packet.as_usual(points, focal), looks)
        return heatmaps, points, peaks, cards, visible


def network_shape(about):
    """The arguments of `CardPose` in what is stored with its weights."""
    names = ("widths", "stride", "sigma", "hidden", "image_size", "encoder")
    return {name: about[name] for name in (*names, "focal", "card", "deck")}
