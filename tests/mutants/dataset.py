"""Faults in the data set: recordings that leak, labels of the wrong frame, masks ignored."""

from mutants import Mutant

SPLITS = "cardpose/dataset/splits.py"
TEST_SPLITS = "tests/dataset/test_splits.py"
LABELLED = "cardpose/dataset/labelled_frames.py"
TEST_LABELLED = "tests/dataset/test_labelled_frames.py"
TENSORS = "cardpose/dataset/tensors.py"
TEST_TENSORS = "tests/dataset/test_tensors.py"
ANNOTATIONS = "cardpose/dataset/annotations.py"
TEST_ANNOTATIONS = "tests/dataset/test_annotations.py"

MUTANTS = [
    Mutant(
        "a picture may have a number that no frame can have",
        "cardpose/dataset/names.py",
        "if len(digits) > _MAX_DIGITS:",
        "if False:",
        "tests/dataset/test_recordings.py",
    ),
    Mutant(
        "a JPEG XL picture in a folder of frames is skipped",
        "cardpose/dataset/recordings.py",
        "if suffix in UNREAD_SUFFIXES or is_picture(path):",
        "if False:",
        "tests/dataset/test_recordings.py",
    ),
    Mutant(
        "frames in HEIC are copied as they are",
        "cardpose/dataset/extraction.py",
        "suffix not in _NOT_IN_BROWSERS and not begins_like_heic(source)",
        "suffix not in _NOT_IN_BROWSERS",
        "tests/pictures/test_heic.py -k become_jpeg",
    ),
    Mutant(
        "every fold holds out the same recordings",
        SPLITS,
        "split.by, seed) == split.fold",
        "split.by, seed) == 0",
        TEST_SPLITS,
    ),
    Mutant(
        "a split by frame splits by recording",
        SPLITS,
        'if split.by == "frame" and not split.test_videos:',
        "if False:",
        TEST_SPLITS,
    ),
    Mutant(
        "a split by recording splits by frame",
        SPLITS,
        'if split.by == "frame" and not split.test_videos:',
        "if not split.test_videos:",
        TEST_SPLITS,
    ),
    Mutant(
        "recordings are held out by name of single frames",
        SPLITS,
        'if split.by == "frame" and not split.test_videos:',
        'if split.by == "frame":',
        TEST_SPLITS,
    ),
    Mutant(
        "validation is drawn from the held-out recordings",
        SPLITS,
        "rest = np.flatnonzero(~test)",
        "rest = np.flatnonzero(test)",
        TEST_SPLITS,
    ),
    Mutant(
        "validation is drawn from all recordings",
        SPLITS,
        "rest = np.flatnonzero(~test)",
        "rest = np.arange(len(test))",
        TEST_SPLITS,
    ),
    Mutant(
        "validation always gets the thinnest packet of a stratum",
        SPLITS,
        "rng.choice(stratum)",
        "stratum[0]",
        TEST_SPLITS,
    ),
    Mutant(
        "validation gets no thick packets",
        SPLITS,
        "np.array_split(by_count, k)",
        "np.array_split(by_count[: 2 * k], k)",
        TEST_SPLITS,
    ),
    Mutant(
        "the last frame of a held-out recording trains",
        SPLITS,
        "    role = role[unit_of_frame]\n",
        "    role = role[unit_of_frame]\n    role[np.flatnonzero(role == 'test')[-1]] = 'train'\n",
        TEST_SPLITS,
    ),
    Mutant(
        "folds ignore the counts of recordings",
        SPLITS,
        '    if by == "frame":\n',
        "    if True:\n",
        TEST_SPLITS,
    ),
    Mutant(
        "labels are matched one row off",
        LABELLED,
        "frame: row for row, frame in enumerate(labelled)",
        "frame: row - 1 for row, frame in enumerate(labelled)",
        TEST_LABELLED,
    ),
    Mutant(
        "points are those of the label before",
        LABELLED,
        "labels.points[rows]",
        "labels.points[rows - 1]",
        TEST_LABELLED,
    ),
    Mutant(
        "visibility is that of the label before",
        LABELLED,
        "labels.visible[rows]",
        "labels.visible[rows - 1]",
        TEST_LABELLED,
    ),
    Mutant(
        "an unlabelled frame gets the mask of another one",
        LABELLED,
        "labels.mask[rows] & has_label[:, None]",
        "labels.mask[rows]",
        TEST_LABELLED,
    ),
    Mutant(
        "the mask is not passed on",
        LABELLED,
        "image_size, stride, sigma, mask)",
        "image_size, stride, sigma)",
        TEST_LABELLED,
    ),
    Mutant(
        "unlabelled keypoints are written as labelled and hidden",
        TENSORS,
        'np.save(folder / "known.npy", mask)',
        'np.save(folder / "known.npy", np.ones_like(mask))',
        TEST_TENSORS,
    ),
    Mutant(
        "unlabelled keypoints stay visible",
        TENSORS,
        "    visible = visible & mask\n",
        "",
        TEST_TENSORS,
    ),
    Mutant(
        "the mask that is given is ignored",
        TENSORS,
        "np.ones_like(visible) if mask is None else mask",
        "np.ones_like(visible)",
        TEST_TENSORS,
    ),
    Mutant(
        "empty keypoints are read as hidden",
        ANNOTATIONS,
        "    mask = has_mark & annotated\n",
        "    mask = np.ones_like(has_mark)\n",
        TEST_ANNOTATIONS,
    ),
    Mutant(
        "rows that are not annotated are read as labels",
        ANNOTATIONS,
        'annotated[:, 0] = table["annotated"] == 1',
        "annotated[:, 0] = True",
        TEST_ANNOTATIONS,
    ),
]
