"""Faults of the training that its tests notice."""

from mutants import Mutant

RECIPES, TARGETS = "cardpose/training/recipes.py", "cardpose/training/targets.py"
MODULES, DATASETS = "cardpose/training/modules.py", "cardpose/training/datasets.py"
LOSSES, STEPS = "cardpose/training/losses.py", "cardpose/training/steps.py"

TEST_RECIPES = "tests/training/test_recipes.py"
TEST_TARGETS = "tests/training/test_targets.py"
TEST_MODULES = "tests/training/test_modules.py"
TEST_DATASETS = "tests/training/test_datasets.py"

MUTANTS = [
    Mutant(
        "test frames join the validation frames",
        RECIPES,
        '(np.flatnonzero(role == name) for name in ("train", "validation"))',
        '(np.flatnonzero(np.isin(role, names)) for names in ("train", ["validation", "test"]))',
        f"{TEST_RECIPES} -k test_frames",
    ),
    Mutant(
        "the margins come from training frames",
        "cardpose/training/calibration.py",
        "_errors(network, tensors, validating, metadata)",
        '_errors(network, tensors, np.flatnonzero(role == "train"), metadata)',
        f"{TEST_RECIPES} -k margins",
    ),
    Mutant(
        "the closer learns from validation frames",
        RECIPES,
        "refine_corners(network, tensors, training, closeups,",
        "refine_corners(network, tensors, np.r_[training, validating], closeups,",
        f"{TEST_RECIPES} -k validation_frames",
    ),
    Mutant(
        "the tracer learns from validation frames",
        RECIPES,
        "trace_edges(network, tensors, training, edges,",
        "trace_edges(network, tensors, np.r_[training, validating], edges,",
        f"{TEST_RECIPES} -k validation_frames",
    ),
    Mutant(
        "the best epoch is never restored",
        RECIPES,
        "    network.load_state_dict(best.weights)\n",
        "",
        "tests/training/test_callbacks.py -k early_best",
    ),
    Mutant(
        "a resumed training loses the losses of the epochs before",
        "cardpose/training/callbacks.py",
        "for epoch in range(len(self.epochs)):",
        "for epoch in range(0):",
        "tests/training/test_checkpoints.py -k network_and_losses",
    ),
    Mutant(
        "the losses are logged as those of one part",
        "cardpose/training/callbacks.py",
        'f"{self.part.name}/{name}"',
        'f"whole/{name}"',
        "tests/training/test_callbacks.py -k as_soon",
    ),
    Mutant(
        "the log needs a commit",
        RECIPES,
        "with chdir(folder.anchor):",
        "if True:",
        f"{TEST_RECIPES} -k without_commits",
    ),
    Mutant(
        "the network that training starts from is changed",
        RECIPES,
        "    copy = CardPose(**network_shape(changed))\n"
        "    copy.load_state_dict(network.state_dict())\n",
        "    copy = network\n",
        f"{TEST_RECIPES} -k starts_from",
    ),
    Mutant(
        "turn is transposed in the closer's training step",
        MODULES,
        '"nij,nkj->nki"',
        '"nji,nkj->nki"',
        f"{TEST_MODULES} -k closer",
    ),
    Mutant(
        "steps of the closer are taken in pixels of the network's picture",
        MODULES,
        'batch["starts"] + steps / DETAIL',
        'batch["starts"] + steps',
        f"{TEST_MODULES} -k closer",
    ),
    Mutant(
        "the closer's error is measured in pixels of the network's picture",
        MODULES,
        '                DETAIL * points,\n                DETAIL * batch["points"],\n',
        '                points,\n                batch["points"],\n',
        f"{TEST_MODULES} -k closer",
    ),
    Mutant(
        "the closer compares the corners that are seen",
        MODULES,
        '                batch["visible"],\n',
        '                batch["seen"],\n',
        f"{TEST_MODULES} -k closer",
    ),
    Mutant(
        "the closer counts from the corners that are labelled",
        MODULES,
        'self.closer.geometry(usual, batch["seen"])',
        'self.closer.geometry(usual, batch["visible"])',
        f"{TEST_MODULES} -k closer",
    ),
    Mutant(
        "the closer takes portrait frames for landscape ones",
        MODULES,
        'self.box.focal_of(batch["longer"])',
        'self.box.focal_of(batch["longer"] * 0 + 64)',
        f"{TEST_MODULES} -k portrait",
    ),
    Mutant(
        "edges of portrait frames are fitted as those of landscape frames",
        TARGETS,
        "torch.from_numpy(tensors.longer[batch])",
        "torch.from_numpy(tensors.longer[batch] * 0 + 64)",
        f"{TEST_TARGETS} -k portrait",
    ),
    Mutant(
        "close-ups start where other frames have their corners",
        TARGETS,
        "    starts[rows] = points\n",
        "    starts[: len(rows)] = points\n",
        f"{TEST_TARGETS} -k close_ups",
    ),
    Mutant(
        "close-ups start where the frames have their corners in reversed order",
        TARGETS,
        "    starts[rows] = points\n",
        "    starts[rows[::-1]] = points\n",
        f"{TEST_TARGETS} -k close_ups",
    ),
    Mutant(
        "the network decides what is visible although there are labels",
        TARGETS,
        "np.where(tensors.mask[rows], visible[rows], predicted)",
        "predicted",
        f"{TEST_TARGETS} -k labels_decide",
    ),
    Mutant(
        "the close-ups' own visibility is ignored",
        STEPS,
        "params.seed, workers, seen, shuffled)",
        "params.seed, workers, None, shuffled)",
        "tests/training/test_steps.py",
    ),
    Mutant(
        "the count by keypoints is part of the loss",
        LOSSES,
        'F.mse_loss(cards[:, COUNTS.index("picture")], target[1].float())',
        "F.mse_loss(cards, target[1].float()[:, None].expand_as(cards))",
        "tests/training/test_losses.py -k keypoints",
    ),
    Mutant(
        "the tracer's spread weighs errors the wrong way round",
        LOSSES,
        "(places - true).abs() / spreads.exp()",
        "(places - true).abs() * spreads.exp()",
        "tests/training/test_losses.py -k tracer",
    ),
    Mutant(
        "the tracer learns from the places that do not count",
        LOSSES,
        "off[counts].sum()",
        "off[~counts].sum()",
        "tests/training/test_losses.py -k tracer",
    ),
    Mutant(
        "each process divides by its own number of labels",
        "cardpose/training/distributed.py",
        "        distributed.all_reduce(total)\n    return total.clamp(min=1) / world_size()",
        "        pass\n    return total.clamp(min=1)",
        "tests/training/test_distributed.py -k unlike",
    ),
    Mutant(
        "processes of one host listen on all interfaces",
        "cardpose/training/distributed.py",
        "        return distributed.FileStore(file, processes)",
        '        return distributed.TCPStore("127.0.0.1", 29500, processes, number == 0)',
        "tests/training/test_distributed.py -k loopback",
    ),
    Mutant(
        "hosts wait for each other without end",
        "cardpose/training/distributed.py",
        "        timeout = timedelta(seconds=wait)",
        "        timeout = timedelta(seconds=60 * wait)",
        "tests/training/test_distributed.py -k do_not_come",
    ),
    Mutant(
        "heatmaps are divided by the labels of one process",
        MODULES,
        'batch["mask"], shared=split == "train")',
        'batch["mask"])',
        "tests/training/test_distributed.py -k unlike",
    ),
    Mutant(
        "the tracer is trained without heights",
        MODULES,
        'batch["kinds"], batch["heights"])',
        'batch["kinds"], 0 * batch["heights"])',
        f"{TEST_MODULES} -k heights",
    ),
    Mutant(
        "places are not reversed with their strip",
        DATASETS,
        "strips[:, :, ::-1], place[:, ::-1], counts[:, ::-1]",
        "strips[:, :, ::-1], place, counts[:, ::-1]",
        f"{TEST_DATASETS} -k reversed",
    ),
    Mutant(
        "close-ups are off as the ends of strips are",
        DATASETS,
        "off = _CORNER_OFFSET *",
        "off = _END_OFFSET *",
        f"{TEST_DATASETS} -k offsets",
    ),
    Mutant(
        "the blend has the shares exchanged",
        "cardpose/training/blending.py",
        "start[name].lerp(weights, share)",
        "weights.lerp(start[name], share)",
        "tests/training/test_blending.py",
    ),
    Mutant(
        "small errors of validation decide on the share",
        "cardpose/training/blending.py",
        "(1 + TOLERANCE) * min",
        "(1 + 0) * min",
        "tests/training/test_blending.py",
    ),
    Mutant(
        "the share is chosen by the picture's count",
        RECIPES,
        'predicted[:, COUNTS.index("both")]',
        'predicted[:, COUNTS.index("picture")]',
        "tests/training/test_blending.py",
    ),
]
