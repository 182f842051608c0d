"""Network with a small UNet for heatmaps, a head that counts, and refinement in a larger picture.

1. The UNet draws one heatmap per keypoint. Its encoder halves the size at each level (`stem`,
   `down`). Its decoder doubles the size at each level (`narrow`, `up`). Its last convolution
   draws the heatmaps (`heatmaps`).
2. The head (`head`) counts cards and predicts visibility. Its features are the encoder's deepest
   features, averaged over the picture; the decoder's last features at the heatmaps' peaks; and
   the heights of the peaks. The decoder's features and the heatmaps are detached from the graph.
   The losses of count and visibility therefore train only the head and the encoder, never the
   decoder or the last convolution.
3. Close-ups round the keypoints, cut from a larger picture, refine the keypoints (`closer`).
4. The fitter fits a box with the width and length of a card to the keypoints (`fitter`). The tracer
   finds the box's edges in strips cut from the larger picture (`tracer`). The fitter then fits the
   box again, to keypoints and edges.

The network counts cards in three ways: from the picture's features (`picture`), from the heatmaps'
keypoints alone (`keypoints`), and from the box, the refined keypoints and the picture's features
together (`both`).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float64, Int, Num
from torch import Tensor, nn
from torch.nn import functional as F

from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter, TracedEdges
from cardpose.geometry.box_information import box_information, thickness_variance
from cardpose.geometry.guided_fit import guide_pose
from cardpose.geometry.heatmaps import decode
from cardpose.geometry.keypoints import N_KEYPOINTS
from cardpose.geometry.projection import Pose
from cardpose.network.blocks import conv, inverted_residual, two_convs
from cardpose.network.closeups import Closer, sample_closeups
from cardpose.network.heads import Head, at_corners
from cardpose.network.strips import Tracer, trace_strips
from cardpose.pictures.letterbox import DETAIL

COUNTS = ("picture", "keypoints", "both")  # the ways of counting
CLEAR = 0.8  # height of a heatmap's peak that gives its keypoint full weight
_FAINTEST = 0.05  # weight of a keypoint without a peak, relative to a clear one
_BOX_PARTS = 2  # weight of the box's count in `both`; the refined keypoints' count has weight 1
_PICTURE_ERROR = 12.0  # cards; expected error of the count from the picture's features, in `both`


class WholePicture(NamedTuple):
    """Outputs of the network for n whole pictures, before close-ups and strips.

    Attributes:
        heatmaps: attached to the graph; points and peaks are decoded from a detached copy.
        points: keypoints in pixels of the network's picture.
        peaks: heights of the heatmaps' peaks, close to 1 if a keypoint is found.
        cards: counts as fractions of the deck, in the first two ways of COUNTS.
        visibility: as logits.
    """

    heatmaps: Float[Tensor, "n 8 rows columns"]
    points: Float[Tensor, "n 8 2"]
    peaks: Float[Tensor, "n 8"]
    cards: Float[Tensor, "n 2"]
    visibility: Float[Tensor, "n 8"]


class Prediction(NamedTuple):
    """Predictions for n pictures.

    Attributes:
        cards: counts as fractions of the deck, one column for each way in COUNTS.
        points: keypoints in pixels of the network's picture.
        visibility: as logits.
        peaks: heights of the heatmaps' peaks, in the order of the heatmaps.
        pose: of the fitted box.
        corners: for each keypoint of the box, the index of the point that it is.
        information, vector: what each picture says of the box, see `box_information`.
    """

    cards: Float[Tensor, "n 3"]
    points: Float[Tensor, "n 8 2"]
    visibility: Float[Tensor, "n 8"]
    peaks: Float[Tensor, "n 8"]
    pose: Pose
    corners: Int[Tensor, "n 8"]
    information: Float64[Tensor, "n 4 4"]
    vector: Float64[Tensor, "n 4"]


class BoxFit(NamedTuple):
    """Boxes fitted to the keypoints and edges of n pictures.

    Points, visibility, peaks and weight are in the order of the heatmaps.

    Attributes:
        points: refined keypoints in pixels of the network's picture.
        visibility: as logits.
        peaks: heights of the heatmaps' peaks.
        cards: counts as fractions of the deck, in the first two ways of COUNTS.
        weight: of each point in the fit, 0 to 1.
        names: for each keypoint of the box, the index of the point that it is.
        corner_pose: of the box fitted to the keypoints, and to `boxes` where they are given.
        pose: of the box fitted to keypoints and edges.
        edges: traced round `corner_pose`.
    """

    points: Float[Tensor, "n 8 2"]
    visibility: Float[Tensor, "n 8"]
    peaks: Float[Tensor, "n 8"]
    cards: Float[Tensor, "n 2"]
    weight: Float[Tensor, "n 8"]
    names: Int[Tensor, "n 8"]
    corner_pose: Pose
    pose: Pose
    edges: TracedEdges


class CardPose(nn.Module):
    """Whole network; the module's docstring describes its parts.

    Args:
        widths: channels at 1/2, 1/4, 1/8, ... of the picture's size.
        stride: picture pixels per heatmap pixel: 2, 4 or 8.
        sigma: of the heatmaps to train on, in heatmap pixels.
        hidden: width of the fully connected layers.
        image_size: (width, height) of the network's picture in pixels.
        encoder: "plain", or "inverted" for MobileNetV2's blocks. The repository has no pretrained
            "inverted" network, so training one starts from random weights. Its accuracy has not
            been measured.
        focal: usual focal length, as a fraction of a picture's longer side.
        card: (width, length, thickness) of a card in mm.
        deck: number of cards in a whole deck. Counts are fractions of it.
    """

    def __init__(
        self,
        widths: Sequence[int],
        stride: int,
        sigma: float,
        hidden: int,
        image_size: Sequence[int],
        encoder: str,
        focal: float,
        card: Sequence[float],
        deck: int,
    ):
        super().__init__()
        self.stride, self.sigma, self.image_size = stride, sigma, image_size
        level = {"plain": two_convs, "inverted": inverted_residual}[encoder]
        finest = {2: 0, 4: 1, 8: 2}[stride]  # level that draws the heatmaps
        self.stem = conv(3, widths[0], stride=2)
        self.down = nn.ModuleList(level(a, b) for a, b in pairwise(widths))
        steps = [(deep, skip) for skip, deep in pairwise(widths[finest:])][::-1]
        self.narrow = nn.ModuleList(nn.Conv2d(deep, skip, 1) for deep, skip in steps)
        self.up = nn.ModuleList(conv(skip, skip) for _, skip in steps)
        self.heatmaps = nn.Conv2d(widths[finest], N_KEYPOINTS, 1)
        # With larger weights, the first steps push every heatmap to zero, and learning stalls.
        nn.init.normal_(self.heatmaps.weight, std=1e-3)
        nn.init.zeros_(self.heatmaps.bias)  # type: ignore[arg-type]
        self.head = Head(widths[-1] + N_KEYPOINTS * (widths[finest] + 1), hidden, image_size)
        self.closer = Closer(hidden, image_size)
        self.fitter = BoxFitter(BoxModel(image_size, focal, card, deck))
        self.tracer = Tracer()
        self.deck_height, self.card_height = deck * card[2], card[2]

    def predict(
        self,
        pictures: Num[Tensor, "n 3 height width"],
        details: Num[Tensor, "n 3 2*height 2*width"],
        focal: Float[Tensor, " n"] | None = None,
        boxes: Float64[Tensor, "n 4"] | None = None,
    ) -> Prediction:
        """Find the keypoints, refine them in close-ups, fit a box, and count in every way.

        The count `both` is a weighted mean of three counts whose errors differ. Two parts from the
        thickness of the box and one part from the refined keypoints make the count from the
        packet's shape. It and the count from the picture's features have weights of one over their
        expected squared errors. The shape tells little where few keypoints are visible, or where a
        lean would look the same as another thickness.

        Args:
            pictures: RGB, 0 to 255, of `image_size`.
            details: the same pictures at DETAIL times the size.
            focal: focal lengths in pixels of `pictures`; None for the usual one.
            boxes: that other pictures of the packets show, see `guide_pose`. The edges are
                then traced round them.
        """
        fit = self.fit_boxes(pictures, details, focal, boxes=boxes)
        with torch.autocast(pictures.device.type, enabled=False):
            points, visibility = _take(fit.points, fit.names), fit.visibility.gather(1, fit.names)
            weight = fit.weight.gather(1, fit.names)
            said = box_information(self.fitter, fit.pose, points, weight, fit.edges, focal)
            order = _final_order(self.fitter.box, fit.pose, fit.names)
            points, visibility = _take(points, order), visibility.gather(1, order)
            usual = self.fitter.box.at_usual_focal(points, focal)
            by_corners = self.closer.geometry(usual, visibility > 0)
            by_box = (fit.pose.thickness / self.deck_height).clamp(0, 1).float()
            by_shape = (by_corners + _BOX_PARTS * by_box) / (1 + _BOX_PARTS)
            variance = thickness_variance(self.fitter.box, said[0], fit.pose).float()
            error = (_PICTURE_ERROR * self.card_height) ** 2
            by_picture = fit.cards[:, COUNTS.index("picture")].float()
            both = (error * by_shape + variance * by_picture) / (error + variance)
        cards = torch.cat([fit.cards, both[:, None]], dim=1)
        corners = order.argsort(dim=1)
        return Prediction(cards, points, visibility, fit.peaks, fit.pose, corners, *said)

    def fit_boxes(
        self,
        pictures: Num[Tensor, "n 3 height width"],
        details: Num[Tensor, "n 3 2*height 2*width"],
        focal: Float[Tensor, " n"] | None = None,
        thickness: Float[Tensor, " n"] | None = None,
        boxes: Float64[Tensor, "n 4"] | None = None,
    ) -> BoxFit:
        """Find the keypoints, refine them in close-ups, and fit a box to them and to its edges.

        Args:
            pictures, details, focal, boxes: as in `predict`.
            thickness: of the packets in mm; None if their counts are not given. It constrains the
                fit to the keypoints, not the fit to keypoints and edges.
        """
        whole = self.read_whole_pictures(pictures, focal)
        details = details.float()
        with torch.autocast(pictures.device.type, enabled=False):
            points = whole.points + self.closer(sample_closeups(details, whole.points)) / DETAIL
            weight = keypoint_weights(whole.visibility, whole.peaks)
            corner_pose, names = self.fitter.fit(points, weight, thickness, focal)
            named = _take(points, names), weight.gather(1, names)
            if boxes is not None:
                corner_pose = guide_pose(self.fitter, corner_pose, *named, boxes, focal)
            edges = trace_strips(self.tracer, self.fitter.box, details, corner_pose)
            pose = self.fitter.refine(corner_pose, *named, edges, focal)
        read = whole.visibility, whole.peaks, whole.cards
        return BoxFit(points, *read, weight, names, corner_pose, pose, edges)

    def forward(
        self, pictures: Num[Tensor, "n 3 height width"]
    ) -> tuple[Float[Tensor, "n 8 rows columns"], Float[Tensor, "n 2"], Float[Tensor, "n 8"]]:
        """Compute the outputs that are trained on whole pictures.

        Args:
            pictures: RGB, 0 to 255; of `image_size`, or scaled down.

        Returns:
            heatmaps at 1 / stride of the pictures' size; counts as fractions of the deck, in the
            first two ways of COUNTS; visibility as logits.
        """
        whole = self.read_whole_pictures(pictures)
        return whole.heatmaps, whole.cards, whole.visibility

    def read_whole_pictures(
        self, pictures: Num[Tensor, "n 3 height width"], focal: Float[Tensor, " n"] | None = None
    ) -> WholePicture:
        """Draw heatmaps, decode keypoints, count cards and predict visibility.

        Args:
            pictures: as in `forward`.
            focal: focal lengths in pixels of pictures of `image_size`; None for the usual one.
        """
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
        # Full precision: bfloat16 cannot resolve half a card in a packet's shape.
        with torch.autocast(pictures.device.type, enabled=False):
            detached = heatmaps.detach().float()
            points, peaks = decode(detached, self.stride, self.sigma)
            points = points * (self.image_size[0] / pictures.shape[3])
            local = at_corners(x.detach().float(), detached)
            pooled = torch.cat([deepest.float(), local, peaks], dim=1)
            cards, visibility = self.head(self.fitter.box.at_usual_focal(points, focal), pooled)
        return WholePicture(heatmaps, points, peaks, cards, visibility)


def keypoint_weights(
    visibility: Float[Tensor, "n 8"], peaks: Float[Tensor, "n 8"]
) -> Float[Tensor, "n 8"]:
    """Return the weight of each keypoint in the fit of a box, 0 to 1.

    Hidden keypoints have weight 0. Keypoints with low peaks have low weights, because they may be
    in the place of another keypoint, or two names may share the peak.

    Args:
        visibility: as logits.
        peaks: heights of the heatmaps' peaks.
    """
    return (visibility > 0) * (peaks / CLEAR).clamp(_FAINTEST, 1)


def network_shape(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `CardPose` from the metadata stored with its weights."""
    names = ("widths", "stride", "sigma", "hidden", "image_size", "encoder")
    return {name: metadata[name] for name in (*names, "focal", "card", "deck")}


def _final_order(box: BoxModel, pose: Pose, names: Int[Tensor, "n 8"]) -> Int[Tensor, "n 8"]:
    """Return the order in which the box's keypoints follow the naming rule.

    Only packets that the fit renamed are reordered. The others keep the heatmaps' names, which may
    break the rule if two names are nearly tied.
    """
    kept = torch.arange(N_KEYPOINTS, device=names.device)
    renamed = (names != kept).any(dim=1, keepdim=True)
    return torch.where(renamed, box.names(pose), kept)


def _take(points: Float[Tensor, "n 8 2"], names: Int[Tensor, "n 8"]) -> Float[Tensor, "n 8 2"]:
    """Return each picture's points in the order of its `names`."""
    return points.gather(1, names[..., None].expand(-1, -1, 2))
