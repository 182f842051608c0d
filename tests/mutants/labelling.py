"""Mutants of the room `labelling`."""

from mutants import Mutant

HERE = "cardpose/labelling/"
TESTS = "tests/labelling/"

MUTANTS = [
    Mutant(
        "recordings with the most labels come first",
        HERE + "next_frames.py",
        "key=lambda each: each.before",
        "key=lambda each: -each.before",
        TESTS + "test_next_frames.py",
    ),
    Mutant(
        "frames are not drawn at random",
        HERE + "next_frames.py",
        "np.random.default_rng(_SEED).permutation(len(frames))",
        "range(len(frames))",
        TESTS + "test_next_frames.py",
    ),
    Mutant(
        "each call draws other frames",
        HERE + "next_frames.py",
        "default_rng(_SEED)",
        "default_rng()",
        TESTS + "test_next_frames.py",
    ),
    Mutant(
        "the estimate of the network alone is proposed",
        HERE + "evidence.py",
        "np.where(fits[..., None], median, points)",
        "np.where(fits[..., None], estimates[0], points)",
        TESTS + "test_evidence.py",
    ),
    Mutant(
        "a box far from the corners is used",
        HERE + "evidence.py",
        "fits = (box_error < _ASTRAY)",
        "fits = (box_error > -1)",
        TESTS + "test_evidence.py",
    ),
    Mutant(
        "the box of all frames is not used",
        HERE + "evidence.py",
        "return np.where(enough[:, None, None], project(lens, pose, keypoints), corner_box)",
        "return corner_box",
        TESTS + "test_evidence.py",
    ),
    Mutant(
        "the network gets blue for red",
        HERE + "views.py",
        "picture[..., ::-1] for picture",
        "picture for picture",
        TESTS + "test_views.py",
    ),
    Mutant(
        "the count of the recording is ignored",
        HERE + "views.py",
        "torch.full((len(rgb),), thickness)",
        "None",
        TESTS + "test_views.py",
    ),
    Mutant(
        "the focal length of portrait pictures follows their width",
        HERE + "views.py",
        "float(max(fit(p.shape[1::-1], size)[0]))",
        "float(fit(p.shape[1::-1], size)[0][0])",
        TESTS + "test_views.py",
    ),
    Mutant(
        "labels are overwritten without --overwrite",
        HERE + "merge.py",
        "if difference.exists and not overwrite:",
        "if False:",
        TESTS + "test_merge.py",
    ),
    Mutant(
        "a label that leaves keypoints open erases theirs",
        HERE + "merge.py",
        "taken | old.mask,",
        "taken,",
        TESTS + "test_merge.py",
    ),
    Mutant(
        "a Label Studio that a killed command left running is not found",
        HERE + "studio_process.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        TESTS + "test_studio_process.py",
    ),
    Mutant(
        "Label Studio asks GitHub for tips",
        HERE + "studio_process.py",
        '"https_proxy": _DEAD_PROXY,',
        "",
        TESTS + "test_studio_process.py",
    ),
    Mutant(
        "decomposed names are not recognised",
        HERE + "label_import.py",
        'for form in ("NFC", "NFD")]',
        'for form in ("NFC", "NFC")]',
        TESTS + "test_label_import.py",
    ),
    Mutant(
        "the id of an annotation is quoted whole",
        HERE + "coco_format.py",
        "annotation {short_repr(annotation.get('id', number))}",
        "annotation {annotation.get('id', number)}",
        TESTS + "test_label_import.py",
    ),
]
