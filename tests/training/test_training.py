"""What training keeps, and what it learns before it sees a picture."""

import os
import signal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from support import seen
from torch import nn

from cardpose.common.errors import InputError
from cardpose.geometry.keypoints import EDGES
from cardpose.geometry.pose import Packet
from cardpose.network.heads import GeometryHead
from cardpose.network.model import CardPose, network_shape
from cardpose.network.predict import pair_loader, predict_frames
from cardpose.params import Params
from cardpose.training.batches import frame_loader
from cardpose.training.callbacks import KeepBest, StopOnDivergence
from cardpose.training.checkpoints import read_checkpoint
from cardpose.training.datasets import AugmentedFrames
from cardpose.training.modules import WholePictureModule
from cardpose.training.parts import known_corners, label_edges, learn_geometry
from cardpose.training.recipes import pretrain, train
from cardpose.training.simulation import simulate

SIZE = (320, 240)
FOCAL, CARD = 1.06, (63.0, 88.0, 0.3)


@pytest.fixture(scope="module")
def packets():
    return simulate(np.random.default_rng(0), 3000, 52, SIZE, FOCAL, CARD)


def test_simulated_packets_are_of_every_count_and_their_visible_corners_in_the_picture(packets):
    points, visible, cards = packets
    assert set(np.round(cards * 52).astype(int)) == set(range(1, 53))
    assert ((points[visible] >= 0) & (points[visible] <= SIZE)).all()
    # A convex box never shows all eight corners to a camera above it, nor fewer than its back's.
    whole = visible[:, [2, 3, 6, 7]].all(axis=1)
    assert set(visible[whole].sum(axis=1)) <= {4, 5, 6, 7}
    assert whole.mean() > 0.4


def test_a_thicker_packet_shows_longer_uprights(packets):
    points, visible, cards = packets
    both = visible[:, 4] & visible[:, 6]
    length = np.linalg.norm(points[both, 4] - points[both, 6], axis=1)
    thick = cards[both] > 0.5
    assert length[thick].mean() > 2 * length[~thick].mean()


def test_cards_twice_the_size_at_a_focal_length_of_half_look_about_the_same():
    """What the camera's and the deck's numbers are for: sizes in the picture follow them."""
    small, large = (
        simulate(np.random.default_rng(0), 300, 52, SIZE, focal, card)
        for focal, card in ((1.0, CARD), (0.5, (126.0, 176.0, 0.6)))
    )

    def spread(packets):
        points, visible, _ = packets
        whole = visible[:, [2, 3, 6, 7]].all(axis=1)
        return np.median(np.ptp(points[whole][:, [2, 3, 6, 7]], axis=1))

    # Nearer than they are large, the larger ones lose to perspective.
    assert 0.8 < spread(large) / spread(small) < 1.3


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_number_of_the_deck_and_the_camera_shows_in_the_picture(number):
    """Each of the three alone, so that none can be ignored."""
    focal, card, same = [
        (0.53, CARD, "focal"),
        (FOCAL, (126.0, 88.0, 0.3), "width"),
        (FOCAL, (63.0, 88.0, 0.6), "thickness"),
    ][number]
    usual, changed = (
        simulate(np.random.default_rng(0), 500, 52, SIZE, *each)[0]
        for each in ((FOCAL, CARD), (focal, card))
    )

    def length(points, a, b):
        return np.median(np.linalg.norm(points[:, a] - points[:, b], axis=1))

    back, upright = (length(changed, *p) / length(usual, *p) for p in ((2, 3), (4, 6)))
    if same == "focal":  # everything at half the size
        assert back == pytest.approx(0.5, abs=0.1)
        assert upright == pytest.approx(0.5, abs=0.1)
    elif same == "width":  # 2, 3: the short edge of the back
        assert back > 1.4
    else:
        assert upright > 1.4
        assert back == pytest.approx(1, abs=0.1)


def test_geometry_learns_to_count_from_corners_alone(packets):
    torch.manual_seed(0)
    geometry = GeometryHead(64, SIZE)
    learn_geometry(geometry, packets, SIZE, steps=600)
    points, visible, cards = (
        torch.from_numpy(a) for a in simulate(np.random.default_rng(1), 500, 52, SIZE, FOCAL, CARD)
    )
    with torch.no_grad():
        predicted = geometry(points, visible)
    error = 52 * (predicted - cards).abs().mean()
    constant = 52 * (cards - cards.mean()).abs().mean()
    assert error < constant / 2
    assert not any(parameter.requires_grad for parameter in geometry.parameters())


def epochs(keep, values):
    """Show `keep` one epoch a value, the network's only weight being the epoch's number."""
    for epoch, value in enumerate(values):
        module = SimpleNamespace(network=nn.Linear(1, 1, bias=False))
        nn.init.constant_(module.network.weight, epoch)
        metrics = {"validation/total": torch.tensor(value)}
        keep.on_train_epoch_end(
            SimpleNamespace(callback_metrics=metrics, current_epoch=epoch), module
        )


@pytest.mark.parametrize(("monitor", "kept"), [("validation/total", 1), (None, 3)])
def test_the_best_epoch_is_kept_or_the_last_where_nothing_validates(monitor, kept):
    keep = KeepBest(monitor)
    epochs(keep, [3.0, 1.0, 2.0, 1.5])
    assert keep.epoch == kept
    assert keep.weights["weight"].item() == kept


@pytest.fixture
def small(params):
    """Parameters of a tiny network, and tensors of twelve made-up frames of six recordings.

    In one thread: two wait for each other longer than they work on something so small.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    values = params.model_dump(by_alias=True)
    values["image_size"] = [64, 48]
    values["geometry"]["steps"] = 30
    values["model"].update(widths=[8, 8, 8, 8], hidden=8)
    once = {"epochs": 1, "closeup_epochs": 1, "edge_epochs": 1}
    values["pretrain"].update(**once, half_size_epochs=1, batch_size=4)
    values["train"].update(**once, batch_size=4)
    points, visible, cards = simulate(rng, 12, 52, (64, 48), 1.06, (63.0, 88.0, 0.3))
    tensors = SimpleNamespace(
        pictures=rng.integers(0, 256, (12, 48, 64, 3), dtype=np.uint8),
        details=rng.integers(0, 256, (12, 96, 128, 3), dtype=np.uint8),
        heatmaps=rng.random((12, 8, 12, 16)).astype(np.float16),
        points=points,
        visible=visible,
        mask=np.ones((12, 8), bool),
        frames=pd.DataFrame({"recording": [f"film{i // 2}" for i in range(12)]}),
        longer=np.full(12, 64),
        cards=cards,
        image_size=(64, 48),
        stride=4,
        sigma=1.5,
        deck=52,
    )
    yield Params(**values), tensors
    torch.set_num_threads(threads)


def network_of(weights, about):
    network = CardPose(**network_shape(about))
    network.load_state_dict(weights)
    return network


def test_nothing_that_is_said_of_training_changes_pretraining(small):
    params, tensors = small
    other = {"batch_size": 8, "learning_rate": 0.1, "closeup_learning_rate": 0.1, "augment": False}
    other |= {"weight_decay": 0.5, "closeup_epochs": 2, "edge_epochs": 2}
    changes = {
        "seed": 7,
        "loss": params.loss.model_copy(update={"cards": 50}),
        "train": params.train.model_copy(update=other),
    }
    weights, about = pretrain(tensors, np.arange(12), params)
    again, same = pretrain(tensors, np.arange(12), params.model_copy(update=changes))
    assert about == same
    assert all(weights[name].equal(again[name]) for name in weights)


def test_training_on_heatmaps_of_another_width_goes_on_from_the_pretrained_network(small, tmp_path):
    params, tensors = small
    weights, about = pretrain(tensors, np.arange(12), params)
    wider = SimpleNamespace(**{**vars(tensors), "sigma": 3.0})
    start = network_of(weights, about)
    _, trained = train(wider, np.full(12, "train"), start, about, params, tmp_path / "log")
    assert (about["sigma"], trained["sigma"]) == (1.5, 3.0)


def test_training_goes_on_from_the_pretrained_network_and_leaves_its_geometry(small, tmp_path):
    params, tensors = small
    weights, about = pretrain(tensors, np.arange(12), params)
    before = {name: value.clone() for name, value in weights.items()}
    role = np.array(["train"] * 8 + ["validation"] * 4)
    after, trained = train(tensors, role, network_of(weights, about), about, params, tmp_path / "l")
    assert trained["margins"].keys() == {"picture", "keypoints", "both"}
    assert all(margin > 0 for margin in trained["margins"].values())
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("head.geometry")} <= same
    assert "stem.0.weight" not in same
    parts = ("closer.", "tracer.found")
    learnt = {name for name in before if name.startswith(parts) and "num_" not in name}
    assert learnt & same == set()


@pytest.fixture
def partly(small):
    """The same, of whose frames only every third has labels, and of the first only half."""
    params, tensors = small
    tensors.mask[np.arange(12) % 3 > 0] = False
    tensors.mask[0, 4:] = False
    tensors.visible &= tensors.mask
    tensors.points = np.where(tensors.visible[..., None], tensors.points, np.float32(0))
    return params, tensors


def step(module, tensors, row):
    """The gradients of one step of training on one frame."""
    module.zero_grad()
    module.log = module.log_dict = lambda *args, **kwargs: None
    module.training_step(next(iter(frame_loader(tensors, [row], 1)))).backward()
    return {n: p.grad for n, p in module.network.named_parameters() if p.grad is not None}


def test_a_frame_without_labels_teaches_the_count_and_no_heatmap(partly):
    params, tensors = partly
    torch.manual_seed(0)
    about = {"encoder": "plain", "widths": [8, 8, 8, 8], "stride": 4, "hidden": 8, "sigma": 1.5}
    about |= {"image_size": [64, 48], "focal": 1.06, "card": [63.0, 88.0, 0.3], "deck": 52}
    network = CardPose(**network_shape(about)).eval()  # batch norm takes no single frame
    module = WholePictureModule(network, params.loss, 0.001, 0.01, 52)
    for row, labelled in ((3, True), (4, False)):
        found = step(module, tensors, row)
        for name in ("heatmaps.weight", "head.visible.0.weight", "head.visible.2.bias"):
            assert found[name].any() == labelled
        assert found["head.picture.2.weight"].any()
        assert found["stem.0.weight"].any()  # by way of the count


def test_counts_without_labels_teach_the_second_look_and_leave_the_first(partly, tmp_path):
    params, tensors = partly
    weights, about = pretrain(tensors, np.arange(0, 12, 3), params)
    role = np.array(["train"] * 9 + ["validation"] * 3)
    more = {"epochs": 3, "closeup_epochs": 3}  # Adam's first steps know a gradient's sign only
    params = params.model_copy(update={"train": params.train.model_copy(update=more)})
    results = []
    for count in (-9, 9):  # below and above whatever it counts at first
        tensors.cards[[1, 2, 4, 5, 7, 8]] = count  # of frames without labels
        log = tmp_path / str(count)
        after, trained = train(tensors, role, network_of(weights, about), about, params, log)
        assert all(value.isfinite().all() for value in after.values())
        assert all(np.isfinite(margin) for margin in trained["margins"].values())
        results.append(after)
    same = {name for name in results[0] if torch.equal(results[0][name], results[1][name])}
    first = {name for name in results[0] if not name.startswith(("closer.", "tracer."))}
    assert first <= same
    assert same & {"closer.move.weight", "closer.geometry.layers.0.weight"} == set()


def test_frames_without_labels_have_their_edges_where_the_network_and_the_count_say(partly):
    params, tensors = partly
    weights, about = pretrain(tensors, np.arange(0, 12, 3), params)
    network = network_of(weights, about)
    points, seen = known_corners(network, tensors, np.arange(2, 12))
    looked = predict_frames(network.eval(), pair_loader(tensors, [4, 5], 2), about)
    assert points[[4, 5]] == pytest.approx(looked.points, abs=1e-3)
    assert np.array_equal(seen[[4, 5]], looked.visible)
    for rows in ([0, 3, 6, 9], [1]):  # labelled, and of no row that was asked for
        assert np.array_equal(points[rows], tensors.points[rows])
        assert np.array_equal(seen[rows], tensors.visible[rows])
    # Of a packet that was seen without labels, the count decides how high the edges lie.
    tensors.visible[:] = False
    labels = simulated_from_before(12), np.ones((12, 8), bool)
    found = []
    for thickness in (9.0, 9.6):
        tensors.cards[:] = thickness / 0.3 / 52
        edges, good = label_edges(network.packet, tensors, np.arange(12), 52 * 0.3, labels)
        assert good.all()
        found.append(edges["heights"])
    assert (found[1] > found[0]).all()


def test_training_without_a_single_label_says_what_is_needed(partly, tmp_path, complains):
    params, tensors = partly
    weights, about = pretrain(tensors, np.arange(0, 12, 3), params)
    role = np.where(tensors.mask.any(axis=1), "test", "train")
    with complains("0 of the 8 frames to train on have labels", "at least 2", "split"):
        train(tensors, role, network_of(weights, about), about, params, tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_edges_are_learnt_from_frames_whose_labels_a_box_explains(small):
    _, tensors = small
    tensors.visible[:] = True
    tensors.points = simulated_from_before(12)
    tensors.cards[:] = 9 / 0.3 / 52
    tensors.points[3, 2] += 20  # a label far off
    tensors.visible[4, :4] = False  # too few labels
    packet = Packet((64, 48), 1.06, (63.0, 88.0, 0.3), 52)
    edges, good = label_edges(packet, tensors, np.arange(2, 12), 52 * 0.3)
    assert good.tolist() == [True, False, False] + [True] * 7
    assert not edges["ends"][:2].any()  # of no row that was asked for
    back = card_corners_of(tensors.points[5])
    assert edges["starts"][5, :4] == pytest.approx(back, abs=1.5)  # they are rounded off
    assert edges["kinds"][5].sum() == 9
    assert edges["heights"].shape == (12,)


def simulated_from_before(n):
    """Keypoints of a packet of 9 mm, all told, from n places nearby."""
    points, _ = seen(np.linspace(-120, -105, n), 9.0)
    return (points / 10).astype(np.float32)


def card_corners_of(points):
    return points[[EDGES[i][0] for i in range(4)]]


def test_frames_that_no_box_explains_leave_the_tracing_untaught(small):
    params, tensors = small
    tensors.points = tensors.points[:, ::-1].copy()
    tensors.visible[:, 4:] = False
    weights, _ = pretrain(tensors, np.arange(12), params)
    assert weights["tracer.taught"] == 0


def test_another_deck_has_its_geometry_taught_anew(small, tmp_path):
    params, tensors = small
    weights, about = pretrain(tensors, np.arange(12), params)
    before = weights["head.geometry.layers.0.weight"].clone()
    assert about["focal"] == params.geometry.focal
    tensors.deck = 32
    role = np.array(["train"] * 12)
    after, trained = train(tensors, role, network_of(weights, about), about, params, tmp_path / "l")
    assert (trained["deck"], trained["margins"]) == (32, None)
    assert not torch.equal(before, after["head.geometry.layers.0.weight"])


def test_no_epochs_of_pretraining_start_from_nothing_but_geometry(small):
    params, tensors = small
    nothing = dict.fromkeys(("half_size_epochs", "epochs", "closeup_epochs", "edge_epochs"), 0)
    none = params.model_copy(update={"pretrain": params.pretrain.model_copy(update=nothing)})
    new, _ = pretrain(tensors, np.arange(12), none)
    trained, _ = pretrain(tensors, np.arange(12), params)
    assert torch.equal(
        new["head.geometry.layers.0.weight"], trained["head.geometry.layers.0.weight"]
    )
    assert not torch.equal(new["stem.0.weight"], trained["stem.0.weight"])


@pytest.mark.parametrize("frames", [4, 8, 20])
def test_a_handful_of_frames_and_a_single_epoch_are_no_trouble(small, frames):
    params, tensors = small
    rows = np.arange(frames) % 12
    quick = params.pretrain.model_copy(update={"epochs": 1})
    weights, _ = pretrain(tensors, rows, params.model_copy(update={"pretrain": quick}))
    assert all(torch.isfinite(value).all() for value in weights.values())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(
    ("part", "what", "parameter"),
    [
        ("whole", "whole pictures", "pretrain.learning_rate"),
        ("closeups", "close-ups", "pretrain.closeup_learning_rate"),
        ("edges", "strips along edges", "pretrain.closeup_learning_rate"),
    ],
)
def test_a_training_that_diverges_ends_with_one_line_that_says_where_and_what_helps(
    small, tmp_path, monkeypatch, part, what, parameter, precision
):
    params, tensors = small
    values = params.model_dump(by_alias=True)
    values["pretrain"].update(epochs=2, closeup_epochs=2, edge_epochs=2)
    values["train"].update(precision=precision)

    def corrupt(self, trainer, module, batch, batch_idx):
        if self.part.name == part and trainer.current_epoch == 1:
            next(p for p in module.parameters() if p.requires_grad).data.fill_(torch.nan)

    monkeypatch.setattr(StopOnDivergence, "on_train_batch_start", corrupt)
    with pytest.raises(InputError) as caught:
        pretrain(tensors, np.arange(12), Params(**values), tmp_path)
    exact = "" if precision == "32-true" else ", or train.precision: 32-true"
    assert str(caught.value) == (
        f"training on {what} diverged: the loss is not finite in epoch 2 of 2;"
        f" try a lower {parameter}{exact}"
    )
    # Of the epoch in which it diverged no checkpoint is kept.
    kept = read_checkpoint(tmp_path / part)
    assert kept["epoch"] == 0
    assert all(torch.isfinite(value).all() for value in kept["state_dict"].values())


def test_a_loss_too_large_for_a_number_ends_training_and_so_does_a_validation_without_one(
    small, tmp_path, complains
):
    params, tensors = small
    weights, about = pretrain(tensors, np.arange(12), params)
    role = np.array(["train"] * 8 + ["validation"] * 4)
    huge = params.model_copy(update={"loss": params.loss.model_copy(update={"heatmaps": 1e39})})
    with complains("whole pictures diverged: the loss is", "epoch 1 of 1", "train.learning_rate"):
        train(tensors, role, network_of(weights, about), about, huge, tmp_path / "log")
    tensors.cards[8:] = np.inf
    with complains("whole pictures diverged: validation/", "epoch 1 of 1", "train.learning_rate"):
        train(tensors, role, network_of(weights, about), about, params, tmp_path / "log")


def test_the_number_of_loader_workers_changes_no_bit_of_the_network(small, tmp_path):
    params, tensors = small
    networks = []
    for workers in (0, 2):
        machine = params.machine.model_copy(update={"loader_workers": workers})
        some = params.model_copy(update={"machine": machine})
        weights, about = pretrain(tensors, np.arange(12), some)
        role = np.array(["train"] * 8 + ["validation"] * 4)
        network = network_of(weights, about)
        networks.append(train(tensors, role, network, about, some, tmp_path / str(workers)))
    (alone, about), (shared, same) = networks
    assert same == about
    assert alone.keys() == shared.keys()
    assert all(torch.equal(alone[name], shared[name]) for name in alone)


def test_a_loader_worker_that_dies_is_one_line(small, monkeypatch, complains):
    params, tensors = small
    machine = params.machine.model_copy(update={"loader_workers": 1})

    def die(self, key):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(AugmentedFrames, "__getitem__", die)
    with complains("a loader worker was killed", "machine.loader_workers", "memory"):
        pretrain(tensors, np.arange(12), params.model_copy(update={"machine": machine}))
