import numpy as np
import pytest
import torch
from support import ABOUT, seen
from torch.nn import functional as F

from cardpose.common.errors import InputError
from cardpose.geometry.heatmaps import encode
from cardpose.geometry.keypoints import FLIP
from cardpose.geometry.pose import KINDS
from cardpose.network import strips
from cardpose.network.heads import SHAPE, at_corners, shape_of
from cardpose.network.intervals import count_interval, interval_margin
from cardpose.network.model import COUNTS, CardPose, network_shape
from cardpose.network.strips import Tracer
from cardpose.network.weights import load_network, save_network
from cardpose.params import load_params
from cardpose.pictures.letterbox import DETAIL
from cardpose.training.losses import losses, tracer_loss


@pytest.fixture
def network():
    torch.manual_seed(0)
    return CardPose(**network_shape(ABOUT))


def pictures(n=3):
    return torch.randint(0, 256, (n, 3, 48, 64), dtype=torch.uint8)


@pytest.mark.parametrize("encoder", ["plain", "inverted"])
@pytest.mark.parametrize("stride", [2, 4, 8])
def test_outputs_have_the_promised_shapes(stride, encoder):
    network = CardPose(**network_shape({**ABOUT, "stride": stride, "encoder": encoder}))
    heatmaps, cards, visible = network(pictures())
    assert heatmaps.shape == (3, 8, 48 // stride, 64 // stride)
    assert cards.shape == (3, 2)
    assert visible.shape == (3, 8)


def test_a_size_that_no_level_divides_still_works():
    network = CardPose(**network_shape({**ABOUT, "image_size": (100, 76)}))
    heatmaps, _, _ = network(torch.zeros(1, 3, 76, 100))
    assert heatmaps.shape == (1, 8, 19, 25)


def test_the_count_and_the_visibility_never_bend_the_heatmaps(network):
    _, cards, visible = network(pictures())
    (cards.sum() + visible.sum()).backward()
    assert network.heatmaps.weight.grad is None
    assert network.heatmaps.bias.grad is None


def test_the_heatmaps_loss_reaches_the_encoder_but_not_the_head(network):
    heatmaps, _, _ = network(pictures())
    F.mse_loss(heatmaps, torch.rand_like(heatmaps)).backward()
    assert network.stem[0].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.head.parameters())


def test_the_count_from_the_picture_reaches_the_encoder(network):
    network(pictures())[1][:, COUNTS.index("picture")].sum().backward()
    assert network.stem[0].weight.grad.abs().sum() > 0


def test_the_count_from_keypoints_knows_nothing_of_the_picture_but_the_corners(network):
    network.eval()
    looks = torch.rand(2, network.head.picture[0].in_features)
    points = torch.rand(1, 8, 2).expand(2, 8, 2) * 48
    torch.nn.init.zeros_(network.head.visible[-1].weight)  # the same corners are seen in both
    cards, _ = network.head(points, looks)
    difference = (cards[0] - cards[1]).abs()
    assert difference[COUNTS.index("keypoints")] < 1e-6
    assert difference[COUNTS.index("picture")] > 1e-4


def details(n=3):
    return torch.randint(0, 256, (n, 3, 96, 128), dtype=torch.uint8)


def test_both_looks_together_give_every_count_and_the_places(network):
    with torch.inference_mode():
        look = network.eval().predict(pictures(), details())
    assert look.cards.shape == (3, len(COUNTS))
    assert (look.points.shape, look.visibility.shape) == ((3, 8, 2), (3, 8))
    assert (look.peaks.shape, look.corners.shape) == ((3, 8), (3, 8))


def test_a_second_look_goes_by_what_the_closer_says(network):
    """The closer's steps are detail pixels, half as large as the picture's."""
    network.heatmaps = Spot()
    network.eval().closer.move = Steps()
    points = network.predict(pictures(1), details(1)).points
    # From (14, 10), where the spot is.
    assert torch.allclose(points, torch.tensor([17.0, 9.0]).expand(1, 8, 2), atol=1e-3)


def test_what_is_counted_from_both_follows_the_corners_that_were_moved(network):
    network.heatmaps = Spot()
    torch.nn.init.ones_(network.eval().head.visible[-1].bias)
    torch.nn.init.zeros_(network.head.visible[-1].weight)
    batch = pictures(1), details(1)
    with torch.inference_mode():
        before = network.predict(*batch).cards
        torch.nn.init.normal_(network.closer.move.weight)
        torch.nn.init.normal_(network.closer.which)  # or all corners move alike
        after = network.predict(*batch).cards
    assert torch.equal(before[0, :2], after[0, :2])
    assert abs(before[0, 2] - after[0, 2]) > 1e-4


def test_keypoints_count_in_the_box_by_how_high_their_peaks_are(network, monkeypatch):
    network.eval()
    fit, given = network.packet.fit, []
    monkeypatch.setattr(
        network.packet, "fit", lambda *args, **more: given.append(args[1]) or fit(*args, **more)
    )
    peaks = torch.tensor([[0.8, 1.1, 0.4, 0.2, 0.0, 0.04, 0.8, 0.6]])
    visible = torch.tensor([[1.0, 1, 1, 1, 1, 1, -1, 1]])
    whole = network.read_whole_pictures(pictures(1))
    found = whole._replace(peaks=peaks, visibility=visible)
    monkeypatch.setattr(network, "read_whole_pictures", lambda *_: found)
    network.predict(pictures(1), details(1))
    [counts] = given
    assert counts[0].tolist() == pytest.approx([1, 1, 0.5, 0.25, 0.05, 0.05, 0, 0.75])


def test_four_fifths_of_the_count_are_the_box_s(network, monkeypatch):
    monkeypatch.setattr(network.closer.geometry, "forward", lambda points, seen: torch.zeros(3))
    with torch.inference_mode():
        look = network.eval().predict(pictures(), details())
    box = (look.pose.numbers[:, 3] / (52 * 0.3)).clamp(0, 1).float()
    assert torch.allclose(look.cards[:, COUNTS.index("both")], 4 / 5 * box, atol=1e-6)


def test_a_mirrored_packet_holds_as_many_cards(network):
    points, seen = torch.rand(2, 8, 2) * 48, torch.rand(2, 8) > 0.3
    flip = list(FLIP)
    other = points[:, flip] * torch.tensor([-1.0, 1.0]) + torch.tensor([64.0, 0.0])
    geometry = network.closer.geometry
    assert torch.allclose(geometry(points, seen), geometry(other, seen[:, flip]), atol=1e-6)


class Off(torch.nn.Module):
    """A tracer that finds every edge so many detail pixels away from the packet."""

    taught = 1

    def __init__(self, by=0.0):
        super().__init__()
        self.by = by

    def forward(self, cut, kinds, heights):
        where = torch.full((*cut.shape[:2], strips.POINTS), self.by)
        return where, torch.full_like(where, -4.0)


def test_a_tracer_that_agrees_with_the_box_leaves_it_as_it_is(network):
    pose, edges = posed(network, Off())
    points = network.packet.keypoints(pose)
    again = network.packet.refine(pose, points, torch.ones(1, 8, dtype=torch.bool), edges)
    assert torch.allclose(network.packet.keypoints(again), points, atol=0.05)
    assert again.numbers[0, 3] == pytest.approx(9.0, abs=0.05)


def test_only_edges_that_are_seen_whole_in_the_picture_are_traced(network):
    pose, edges = posed(network, Off())
    _, _, kinds, _ = network.packet.edges(pose)
    used = (edges.weight > 0).any(dim=2)
    assert (used == kinds.any(dim=2)).all()
    beside = pose._replace(numbers=pose.numbers + torch.tensor([300.0] + [0] * 7))
    assert not network.trace(details(1), beside).weight.any()


def test_an_edge_is_where_the_tracer_says_in_detail_pixels_away_from_the_packet(network):
    pose, edges = posed(network, Off(3.0))
    starts, ends, _, _ = network.packet.edges(pose)
    middle = (starts + ends) / 2
    moved = (edges.place.mean(dim=2) - (middle * edges.normal).sum(dim=2))[0]
    assert moved.tolist() == pytest.approx([3 / DETAIL] * 12)
    outward = ((middle - middle.mean(dim=1, keepdim=True)) * edges.normal).sum(dim=2)[0]
    assert (outward[[2, 3, 6, 7]] > 0).all()  # the edges of the two sides that are seen


def test_a_packet_cut_off_is_traced_where_it_is_seen(network):
    pose, _ = posed(network, Off())
    aside = torch.tensor([80.0] + [0] * 7)
    edges = network.trace(details(1), pose._replace(numbers=pose.numbers + aside))
    starts, ends, _, _ = network.packet.edges(pose._replace(numbers=pose.numbers + aside))
    at = starts[:, :, None] + (ends - starts)[:, :, None] * edges.share[:, None]
    inside = ((at > 1) & (at < torch.tensor([63, 47]))).all(dim=3)
    used = edges.weight > 0
    assert used.any()
    assert not (used & ~inside).any()


def test_a_tracer_that_learnt_nothing_is_not_listened_to(network):
    tracer = Off(5.0)
    tracer.taught = network.tracer.taught
    _, edges = posed(network, tracer)
    assert not edges.weight.any()


def posed(network, tracer):
    """The pose of a packet of 9 mm in the middle of the picture, and its edges."""
    points, visible = seen([-100.0], 9.0)
    points = torch.from_numpy(points / 10)
    network.tracer = tracer
    pose, _ = network.packet.fit(points, torch.from_numpy(visible), torch.tensor([9.0]))
    return pose, network.trace(details(1), pose)


def test_a_tracer_learns_to_find_edges_and_how_surely():
    torch.manual_seed(0)
    tracer, n = Tracer(), 12
    kinds, heights = torch.zeros(1, n, KINDS, dtype=torch.bool), torch.tensor([10.0])
    optimizer = torch.optim.AdamW(tracer.parameters(), 1e-2)
    rows = torch.arange(-strips.REACH, strips.REACH + 1)[:, None]
    for step in range(61):
        tracer.train(step < 60)
        place = 16 * torch.rand(1, n, 1) - 8
        bright = (0.5 + place[..., None] - rows).clamp(0, 1)  # to the edge, pixels cut by it less
        cut = (200 * bright)[:, :, None].expand(-1, -1, 3, -1, strips.LENGTH)
        true = place.expand(-1, -1, strips.POINTS)
        places, spreads = tracer(cut, kinds, heights)
        assert places.shape == spreads.shape == (1, n, strips.POINTS)
        loss = tracer_loss(places, spreads, true, torch.ones_like(true, dtype=torch.bool))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (places - true).abs().mean() < 1
    assert spreads.exp().mean() < 2


class Steps(torch.nn.Module):
    """A closer that always says: six to the right, two up."""

    def forward(self, x):
        return torch.tensor([6.0, -2.0]).expand(*x.shape[:2], 2)


def test_a_picture_of_half_the_size_has_its_corners_told_in_the_whole_one(network):
    """The head always sees places in pictures of `image_size`."""
    seen = []
    network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.heatmaps = Spot()
    network.eval()(pictures(1))
    network(F.interpolate(pictures(1).float(), scale_factor=0.5))
    # Row 2, column 3 of the heatmaps: x = 3.5 x 4 and y = 2.5 x 4 pixels, then twice as many.
    assert torch.allclose(seen[0], torch.tensor([14.0, 10.0]).expand(1, 8, 2), atol=1e-3)
    assert torch.allclose(seen[1], torch.tensor([28.0, 20.0]).expand(1, 8, 2), atol=1e-3)


class Spot(torch.nn.Module):
    """Heatmaps with one bright pixel."""

    def forward(self, x):
        heatmaps = torch.zeros(len(x), 8, *x.shape[2:])
        heatmaps[:, :, 2, 3] = 1
        return heatmaps


def test_one_step_down_the_whole_loss_lowers_it(network):
    batch = pictures(8)
    points = torch.rand(8, 8, 2) * torch.tensor([64, 48])
    seen = torch.rand(8, 8) > 0.3
    target = encode(points, seen, (12, 16), 4, 1.5), torch.rand(8), seen.float()
    weights = load_params().loss
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1e-6)
    before = losses(network(batch), target, weights)["total"]
    before.backward()
    optimizer.step()
    assert losses(network(batch), target, weights)["total"] < before


def box(x, y, scale):
    """Eight corners of a packet seen from in front, moved and scaled."""
    corners = [(0, 2), (4, 2), (0, 1), (4, 1), (-1, 5), (5, 5), (-1, 4), (5, 4)]
    return torch.tensor([corners], dtype=torch.float32) * scale + torch.tensor([x, y])


def test_a_shape_is_the_same_wherever_and_however_large_it_is_seen():
    seen = torch.ones(1, 8, dtype=torch.bool)
    one = shape_of(box(10, 20, 5), seen, (320, 240))
    other = shape_of(box(100, 70, 20), seen, (320, 240))
    assert one.shape == (1, SHAPE)
    # All but the last three numbers: spread and middle.
    assert torch.allclose(one[:, :-3], other[:, :-3], atol=1e-5)
    assert other[0, -3] / one[0, -3] == pytest.approx(4)


def test_the_uprights_of_a_shape_are_ten_times_face_minus_back():
    seen = torch.ones(1, 8, dtype=torch.bool)
    # By hand: x = 0 4 0 4 -1 5 -1 5 has mean 2 and squared distances 4 4 4 4 9 9 9 9; y = 2 2 1 1 5
    # 5 4 4 has mean 3 and 1 1 4 4 4 4 1 1. (52 + 20) / 8 = 9: the spread is 3, each upright (0, 1).
    shape = shape_of(box(0, 0, 1), seen, (320, 240))
    assert torch.allclose(shape[0, :8], torch.tensor([0, 10 / 3] * 4))


def test_what_is_not_seen_does_not_touch_the_shape():
    seen = torch.tensor([[False, False, True, True, True, True, True, True]])
    elsewhere = box(0, 0, 1)
    elsewhere[0, :2] = 1000
    assert torch.equal(shape_of(box(0, 0, 1), seen, (64, 48)), shape_of(elsewhere, seen, (64, 48)))


def test_a_packet_with_no_corner_in_sight_has_a_finite_shape():
    shape = shape_of(torch.zeros(1, 8, 2), torch.zeros(1, 8, dtype=torch.bool), (64, 48))
    assert torch.isfinite(shape).all()


def test_features_are_read_at_the_heatmaps_peaks():
    features = torch.arange(12 * 16.0).reshape(1, 1, 12, 16)
    heatmaps = torch.zeros(1, 8, 12, 16)
    for k in range(8):
        heatmaps[0, k, k, 2 * k] = 1
    expected = [k * 16 + 2 * k for k in range(8)]
    assert at_corners(features, heatmaps)[0].tolist() == pytest.approx(expected)


def test_a_saved_network_predicts_the_same(tmp_path, network):
    network.eval()
    save_network(tmp_path / "n.safetensors", network.state_dict(), ABOUT)
    loaded, about = load_network(tmp_path / "n.safetensors")
    assert about == ABOUT
    batch = pictures()
    for mine, its in zip(network(batch), loaded(batch), strict=True):
        assert torch.allclose(mine, its, atol=1e-6)


def spoil(path, how):
    if how == "no network":
        path.write_text("hello")
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "another architecture":
        save_network(path, {"weight": torch.zeros(3)}, ABOUT)
    elif how == "a pickle":
        torch.save({"weight": np.zeros(3)}, path)
    elif how == "missing":
        path.unlink()


@pytest.mark.parametrize(
    "how", ["no network", "cut off", "another architecture", "a pickle", "missing"]
)
def test_a_file_that_holds_no_network_is_named(tmp_path, network, how):
    path = tmp_path / "n.safetensors"
    save_network(path, network.state_dict(), ABOUT)
    spoil(path, how)
    with pytest.raises(InputError, match=r"n\.safetensors"):
        load_network(path)


def test_a_margin_is_students_t_of_as_many_cases_as_there_are_recordings():
    # Mean squares: (1 + 9) / 2 = 5 in a, 16 in b, 0 in c. 2.3534 is t(0.95) of 3, from a table.
    found = interval_margin(
        np.array([11.0, 13.0, 14.0, 5.0]), np.array([10.0, 10.0, 10.0, 5.0]), ["a", "a", "b", "c"]
    )
    assert found == pytest.approx(2.3534 * np.sqrt((5 + 16 + 0) / 3), rel=1e-4)


def test_a_margin_holds_nine_in_ten_of_new_recordings():
    """Recordings whose frames all err by the same, drawn three at a time."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        error = rng.normal(0, 2, 4)
        half = interval_margin(np.repeat(error[:3], 5), np.zeros(15), np.repeat([0, 1, 2], 5))
        held.append(abs(error[3]) <= half)
    assert np.mean(held) == pytest.approx(0.9, abs=0.02)


def test_an_interval_never_goes_below_nothing_and_is_unknown_without_a_margin():
    low, high = count_interval(np.array([1.0, 10.0]), 2.0)
    assert low.tolist() == pytest.approx([0, 8])
    assert high.tolist() == pytest.approx([3, 12])
    assert np.isnan(count_interval(np.array([1.0]), None)).all()


def test_corners_under_mixed_names_come_out_under_the_right_ones():
    """Each heatmap shows another corner than its own; the box tells which is which."""
    torch.manual_seed(0)
    network = CardPose(**network_shape({**ABOUT, "image_size": (640, 480)})).eval()
    points, _ = seen([-100.0], 9.0)
    points = torch.from_numpy(points)
    mixed = [4, 0, 6, 2, 5, 1, 7, 3]  # as if the long sides were the short edges
    shown = encode(points[:, mixed], torch.ones(1, 8, dtype=torch.bool), (120, 160), 4, 1.5)
    network.heatmaps = Shown(shown)
    torch.nn.init.zeros_(network.closer.move.weight)
    torch.nn.init.zeros_(network.head.visible[-1].weight)
    torch.nn.init.ones_(network.head.visible[-1].bias)
    with torch.inference_mode():
        batch = torch.zeros(1, 3, 480, 640), torch.zeros(1, 3, 960, 1280)
        look = network.predict(*batch)
        network.heatmaps.shown = shown[:, list(np.argsort(mixed))]
        usual = network.predict(*batch)
    assert torch.allclose(look.points, points.float(), atol=0.1)
    assert look.cards[0, 2] == pytest.approx(usual.cards[0, 2].item(), abs=0.01)
    assert (look.visibility > 0).all()
    box = network.packet.keypoints(look.pose)[0]
    assert (box - look.points[0, look.corners[0]]).abs().max() < 1


class Shown(torch.nn.Module):
    """Heatmaps that always show the same."""

    def __init__(self, heatmaps):
        super().__init__()
        self.shown = heatmaps

    def forward(self, x):
        return self.shown
