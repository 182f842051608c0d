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

from cardpose import strips
from cardpose.closeups import SIDE, sample
from cardpose.heatmaps import decode
from cardpose.keypoints import EDGES, FLIP, KEYPOINTS
from cardpose.pictures import DETAIL
from cardpose.pose import KINDS, Edges, Packet, Pose

N = len(KEYPOINTS)
SHAPE = 5 * 8 - 5  # numbers in a packet's shape, see `shape_of`
COUNTS = ("picture", "keypoints", "both")  # the ways of counting
CLEAR = 0.8  # so high is the heatmap of a keypoint that is believed wholly


class Look(NamedTuple):
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
        self.heatmaps = nn.Conv2d(widths[finest], N, 1)
        # Near zero, or the first steps crush every heatmap to nothing, and learning stalls.
        nn.init.normal_(self.heatmaps.weight, std=1e-3)
        nn.init.zeros_(self.heatmaps.bias)
        self.head = Head(widths[-1] + N * (widths[finest] + 1), hidden, image_size)
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
            a `Look`.
        """
        _, points, peaks, cards, visible = self._first_look(pictures, focal)
        details = details.float()
        with torch.autocast(pictures.device.type, enabled=False):
            points = points + self.closer(sample(details, points)) / DETAIL
            # A keypoint that is hardly found may be another's place, or half of each name's.
            sure = (visible > 0) * (peaks / CLEAR).clamp(0.05, 1)
            pose, names = self.packet.fit(points, sure, focal=focal)
            points = points.gather(1, names[..., None].expand(-1, -1, 2))
            visible, sure = visible.gather(1, names), sure.gather(1, names)
            edges = self.trace(details, pose)
            pose = self.packet.refine(pose, points, sure, edges, focal)
            # New names follow the rule; given ones may differ from it where it is nearly a tie.
            given = torch.arange(N, device=names.device)
            renamed = (names != given).any(dim=1, keepdim=True)
            order = torch.where(renamed, self.packet.names(pose), given)
            points = points.gather(1, order[..., None].expand(-1, -1, 2))
            visible = visible.gather(1, order)
            by_corners = self.closer.geometry(self.packet.as_usual(points, focal), visible > 0)
            by_box = (pose.numbers[:, 3] / self.deck_height).clamp(0, 1).float()
            both = (by_corners + 4 * by_box) / 5
        cards = torch.cat([cards, both[:, None]], dim=1)
        return Look(cards, points, visible, peaks, pose, order.argsort(dim=1))

    def trace(self, details, pose):
        """Find a packet's edges close to where a pose has them: `pose.Edges`, without weight where
        an edge is hidden, short or not in the picture."""
        starts, ends, kinds, lines = self.packet.edges(pose)
        across = strips.normals(starts, ends)
        cut = strips.sample(details, starts, ends, across)
        heights = strips.heights(self.packet.keypoints(pose)).float()
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


class Head(nn.Module):
    """From the corners' places and the picture's features to the count and the visibility.

    `picture` counts from the features; `geometry` from the corners alone: it is taught on simulated
    packets (`training.learn_geometry`) and left as it is when pictures come.

    Args:
        n_looks: how many features of the picture there are.
        hidden: width of the layers.
        image_size: (width, height) of the picture in pixels.
    """

    def __init__(self, n_looks, hidden, image_size):
        super().__init__()
        self.geometry = Geometry(hidden, image_size).requires_grad_(False)
        self.visible = two_layers(n_looks, hidden, N)
        self.picture = two_layers(n_looks, hidden, 1)

    def forward(self, points, looks):
        """(n, 2) cards as a share of the deck and (n, 8) visibility as logits."""
        logits = self.visible(looks)
        estimate = self.geometry(points, logits.detach() > 0).clamp(-0.1, 1.1)
        return torch.cat([self.picture(looks), estimate[:, None]], dim=1), logits


class Geometry(nn.Module):
    """From the places of a packet's corners to the number of cards: three fully connected layers.

    A packet's mirror image holds as many cards: the count is the mean of both.

    Args:
        hidden: width of the layers.
        image_size: (width, height) of the picture in pixels.
    """

    def __init__(self, hidden, image_size):
        super().__init__()
        self.image_size = image_size
        self.layers = nn.Sequential(
            nn.Linear(SHAPE, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, points, seen):
        """(n,) cards as a share of the deck, from corners (n, 8, 2) of which some are seen."""
        other = points[:, FLIP] * points.new_tensor([-1, 1]) + points.new_tensor(
            [self.image_size[0], 0]
        )
        shape = shape_of(points, seen, self.image_size)
        mirrored = shape_of(other, seen[:, FLIP], self.image_size)
        return (self.layers(shape) + self.layers(mirrored))[:, 0] / 2


class Closer(nn.Module):
    """Moves corners by what is seen close up, and counts from where they then are.

    A label is a pixel or two off, a count never is: taught with both, this finds the corners that
    give the right count. It has a geometry of its own, which learns how real packets differ from
    the simulated ones.

    Args:
        hidden: width of the fully connected layers.
        image_size: (width, height) of the network's picture in pixels.
    """

    def __init__(self, hidden, image_size):
        super().__init__()
        self.features = nn.Sequential(conv(3, 24, stride=2), conv(24, 48, stride=2), conv(48, 48))
        self.join = nn.Linear(48 * (SIDE // 4) ** 2, hidden)
        self.which = nn.Parameter(torch.zeros(N, hidden))  # the corners look different
        self.move = nn.Linear(hidden, 2)
        nn.init.normal_(self.move.weight, std=1e-3)
        nn.init.zeros_(self.move.bias)
        self.geometry = Geometry(hidden, image_size)

    def forward(self, closeups):
        """How far the corners are from the middle of their close-ups.

        Args:
            closeups: (n, 8, 3, SIDE, SIDE), 0 to 255, uint8 or float.

        Returns:
            (n, 8, 2) steps right and down, in pixels of the close-ups.
        """
        x = self.features(closeups.flatten(0, 1).float() / 127.5 - 1).flatten(1)
        x = self.join(x).unflatten(0, (-1, N)) + self.which
        return self.move(F.relu(x))


class Tracer(nn.Module):
    """Finds a packet's edges in the strips along them (see `cardpose.strips`).

    Convolutions only: wherever an edge lies in its strip, it looks the same.
    """

    def __init__(self, width=24):
        super().__init__()
        self.features = nn.Sequential(
            conv(3 + KINDS + 1, width, stride=(1, 2), kernel=5),
            conv(width, width, stride=(1, 2)),
            conv(width, width),
            conv(width, width),
        )
        self.found = nn.Conv2d(width, 2, 1)
        self.register_buffer("taught", torch.zeros(()))  # until it is 1, nobody should listen

    def forward(self, cut, kinds, heights):
        """Where edges lie, and how surely.

        Args:
            cut: (n, 12, 3, 2 REACH + 1, LENGTH) strips, 0 to 255, uint8 or float.
            kinds: (n, 12, KINDS) bool, see `pose.Packet.edges`.
            heights: (n,) of the packet's sides in detail pixels: as far apart are its edges.

        Returns:
            (n, 12, POINTS) detail pixels away from the strip's middle line, and as many logs of
            how far off that usually is.
        """
        height = (heights / 10).clamp(0, 3)[:, None, None].expand(-1, kinds.shape[1], 1)
        known = torch.cat([kinds.float(), height], dim=2)[..., None, None]
        x = torch.cat([cut.float() / 127.5 - 1, known.expand(-1, -1, -1, *cut.shape[3:])], dim=2)
        found = self.found(self.features(x.flatten(0, 1))).float().unflatten(0, cut.shape[:2])
        score, spread = found.unbind(dim=2)
        chance = score.softmax(dim=2)
        out = torch.arange(-strips.REACH, strips.REACH + 1, device=cut.device)[:, None].float()
        place = (chance * out).sum(dim=2)
        width = (chance * (out - place[:, :, None]) ** 2).sum(dim=2)
        spread = spread.mean(dim=2) + (width + 0.05).log() / 2
        return place, spread.clamp(-4, 4)


def network_shape(about):
    """The arguments of `CardPose` in what is stored with its weights."""
    names = ("widths", "stride", "sigma", "hidden", "image_size", "encoder")
    return {name: about[name] for name in (*names, "focal", "card", "deck")}


def shape_of(points, seen, image_size):
    """A packet's shape as numbers of size one: where its corners are, freed of place and scale.

    Args:
        points: (n, 8, 2) places in pixels.
        seen: (n, 8) bool; what is not seen counts nothing.
        image_size: (width, height) of the picture in pixels.

    Returns:
        (n, 35): the four upright edges as vectors, magnified, since a card is a small part of
        them; the corners, relative to their middle, in units of their spread; which are seen;
        spread and middle as shares of the picture.
    """
    size = torch.tensor(image_size, dtype=points.dtype, device=points.device)
    known = seen.to(points.dtype)[..., None]
    number = known.sum(dim=1).clamp(min=1)
    middle = (points * known).sum(dim=1) / number
    offset = (points - middle[:, None]) * known
    spread = (offset.pow(2).sum(dim=(1, 2)) / number[:, 0]).clamp(min=1).sqrt()
    offset = offset / spread[:, None, None]
    a, b = zip(*EDGES[8:], strict=True)
    uprights = (offset[:, list(a)] - offset[:, list(b)]) * known[:, list(a)] * known[:, list(b)]
    return torch.cat(
        [
            10 * uprights.flatten(1),
            offset.flatten(1),
            known[..., 0],
            5 * spread[:, None] / size[0],
            2 * middle / size - 1,
        ],
        dim=1,
    )


def at_corners(features, heatmaps):
    """The features at each heatmap's peak.

    Args:
        features: (n, c, h, w); heatmaps: (n, 8, h, w).

    Returns:
        (n, 8 c).
    """
    weights = F.relu(heatmaps - 0.3 * heatmaps.amax(dim=(2, 3), keepdim=True)).flatten(2)
    weights = weights / weights.sum(dim=2, keepdim=True).clamp(min=1e-4)
    return torch.bmm(weights, features.flatten(2).transpose(1, 2)).flatten(1)


def conv(inputs, outputs, stride=1, kernel=3, groups=1):
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def two_convs(inputs, outputs):
    """A level of the plain encoder, which halves the size: two 3 x 3 convolutions."""
    return nn.Sequential(conv(inputs, outputs, stride=2), conv(outputs, outputs))


def inverted_residual(inputs, outputs):
    """A level of the encoder, which halves the size: a convolution channel by channel between two
    1 x 1 convolutions, the first of which widens; after M. Sandler et al., "MobileNetV2: Inverted
    Residuals and Linear Bottlenecks", CVPR 2018, with 5 x 5 in the middle. A block that halves the
    size has no shortcut.
    """
    wide = 3 * inputs
    return nn.Sequential(
        conv(inputs, wide, kernel=1),
        conv(wide, wide, stride=2, kernel=5, groups=wide),
        nn.Conv2d(wide, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def two_layers(inputs, hidden, outputs):
    """Two fully connected layers, ReLU between them."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
