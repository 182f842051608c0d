"""COCO keypoints, written and read."""

import numpy as np
import pytest
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tool_files import FRAMES, NEAR, SIZES, from_cvat, off

from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.geometry.keypoints import EDGES, KEYPOINTS
from cardpose.labelling import untouched
from cardpose.labelling.proposals import write_proposals


def test_coco_has_continuous_pixels(one_label, exported):
    found = exported("coco", "--labelled")
    (image,), (annotation,) = found["images"], found["annotations"]
    assert image["file_name"] == "50% & more/50% & more_frame_0.png"
    assert (image["width"], image["height"]) == (640, 480)
    assert annotation["keypoints"] == [160, 240, 2] + 7 * [0, 0, 0]
    assert annotation["num_keypoints"] == 1
    assert annotation["bbox"] == [160, 240, 0, 0]


@pytest.fixture
def coco(exported, mine, capsys):
    exported("coco")
    loaded = COCO(mine / "labelling" / "coco.json")
    capsys.readouterr()
    return loaded


def test_pycocotools_reads_keypoints_and_skeleton(coco, proposals):
    (category,) = coco.loadCats(coco.getCatIds())
    assert category["keypoints"] == list(KEYPOINTS)
    edges = {frozenset((a - 1, b - 1)) for a, b in category["skeleton"]}
    assert edges == {frozenset(edge) for edge in EDGES}
    images = coco.loadImgs(coco.getImgIds())
    assert [image["file_name"].rpartition("/")[2] for image in images] == [
        f"{frame}.png" for frame in FRAMES
    ]
    for row, image in enumerate(images):
        (annotation,) = coco.loadAnns(coco.getAnnIds(image["id"]))
        marks = np.array(annotation["keypoints"]).reshape(8, 3)
        np.testing.assert_array_equal(marks[:, 2] == 2, proposals.visible[row])
        places = proposals.points[row] * SIZES[row]
        inside = (places < SIZES[row]).all(axis=1)
        np.testing.assert_allclose(marks[inside, :2], places[inside], atol=NEAR)
        assert annotation["num_keypoints"] == inside.sum()
        assert (marks[~inside] == 0).all()
        x, y, width, height = annotation["bbox"]
        np.testing.assert_allclose([x, y], places[inside].min(axis=0), atol=NEAR)
        np.testing.assert_allclose([x + width, y + height], places[inside].max(axis=0), atol=NEAR)
        assert annotation["area"] == pytest.approx(width * height, rel=1e-4)


def test_pycocotools_finds_the_keypoints_perfect_and_notices_a_shift(coco, capsys):
    def score(shift):
        results = [
            {
                "image_id": one["image_id"],
                "category_id": one["category_id"],
                "keypoints": [
                    value + shift * (k % 3 == 0) for k, value in enumerate(one["keypoints"])
                ],
                "score": one["score"],
            }
            for one in coco.loadAnns(coco.getAnnIds())
        ]
        judge = COCOeval(coco, coco.loadRes(results), "keypoints")
        judge.params.kpt_oks_sigmas = np.full(8, 0.025)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        return judge.stats[0]

    assert score(0) == 1
    assert score(20) < 0.9
    capsys.readouterr()


def test_a_packet_that_fills_the_picture_has_the_box_of_all_its_pixels(mine, exported):
    points = np.zeros((1, 8, 2))
    points[0, [1, 3, 5, 7], 0] = points[0, 4:, 1] = 1
    path = mine / "annotations.csv"
    write_annotations(path, FRAMES[:1], points, np.ones((1, 8), bool))
    (annotation,) = exported("coco", "--labelled")["annotations"]
    x, y, width, height = annotation["bbox"]
    outline = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    covered = mask.decode(mask.frPyObjects(outline, 480, 640))
    assert covered.all()


def test_coco_keypoints_may_stand_in_any_order(mine, exported, taken, proposals):
    found = exported("coco")
    order = [3, 1, 4, 0, 5, 7, 2, 6]
    category = found["categories"][0]
    category["keypoints"] = [KEYPOINTS[k] for k in order]
    for one in found["annotations"]:
        one["keypoints"] = np.array(one["keypoints"]).reshape(8, 3)[order].reshape(-1).tolist()
    assert taken(found, "--accept-proposals")[0] == 0
    assert off(mine, proposals.points, proposals.visible) <= NEAR


def test_labels_of_smaller_copies_of_the_pictures_are_scaled(mine, exported, taken, proposals):
    found = exported("coco")
    for image, one in zip(found["images"], found["annotations"], strict=True):
        image["width"], image["height"] = image["width"] // 2, image["height"] // 2
        one["keypoints"] = [
            value / 2 if k % 3 < 2 else value for k, value in enumerate(one["keypoints"])
        ]
    assert taken(found, "--accept-proposals")[0] == 0
    assert off(mine, proposals.points, proposals.visible) <= NEAR


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda c: c["images"][0].update(file_name="x.png"), "'x.png': the data set has no such"),
        (lambda c: c["images"][0].update(width=480), "50% & more_frame_0: should be of a picture"),
        (lambda c: c["images"][0].update(width=0), "image 1: width and height should be numbers"),
        (lambda c: c["images"][0].pop("height"), "images: the 1. has no height"),
        (lambda c: c["images"][0].update(file_name=3), "image 1: file_name should be text"),
        (lambda c: c["images"][1].update(id=1), "images: id should be a whole number of its own"),
        (lambda c: c.update(images={}), "images: should be a list of objects"),
        (
            lambda c: c["annotations"][0].update(image_id=77),
            "annotation 1: image_id: there is none",
        ),
        (lambda c: c["annotations"][0].update(category_id=[]), "category_id: there is none such"),
        (lambda c: c["annotations"][1].update(image_id=1), "frame_0: should have one packet"),
        (lambda c: c["annotations"][0]["keypoints"].pop(), "should be 24 numbers"),
        (
            lambda c: c["annotations"][0]["keypoints"].__setitem__(2, 3),
            "50% & more_frame_0: v should be 0, 1 or 2 (got 3)",
        ),
        (
            lambda c: c["annotations"][4]["keypoints"].__setitem__(0, 1081.5),
            "phone_frame_1: upper_left_face: should lie in the picture, 1080 x 1920 pixels"
            " (got 1081.5",
        ),
        (lambda c: c["categories"][0]["keypoints"].pop(), "category 1: keypoints should be the"),
        (lambda c: c["categories"].clear(), "annotation 1: category_id: there is none such"),
        (lambda c: c["annotations"].clear(), "holds no label: 5 without an annotation"),
        (lambda c: c.pop("annotations"), "should be what Label Studio exports as JSON, COCO"),
    ],
)
def test_a_fault_in_a_coco_file_is_named(spoil, words, mine, exported, taken):
    found = exported("coco")
    spoil(found)
    status, said = taken(found)
    assert (status, said.count("\n")) == (1, 1)
    assert words in said
    assert not (mine / "annotations.csv").exists()


def test_annotations_whose_v_are_all_0_are_no_labels(mine, exported, taken):
    found = from_cvat(exported("coco"))
    for one in found["annotations"][:2]:
        one |= {"keypoints": 24 * [0], "num_keypoints": 0}
    found["annotations"][2] |= {"keypoints": [], "num_keypoints": 0}
    # A file that tells which are not labelled tells that the others are, as proposed or not.
    said = taken(found)[1]
    left_out = "left out: 3 not labelled: all their v are 0"
    assert said.splitlines()[:2] == ["2 labels: 2 added", left_out]
    assert read_annotations(mine / "annotations.csv")[0] == FRAMES[3:]
    # Beside one that is none, the other annotation of a picture counts.
    found["annotations"][0]["image_id"] = 4
    assert "left out: 1 without an annotation" in taken(found)[1]
    del found["annotations"][:3]
    assert f"2 {untouched.UNTOUCHED}" not in taken(found)[1]  # they are in annotations.csv by now
    (mine / "annotations.csv").unlink()
    assert f"2 {untouched.UNTOUCHED}" in taken(found)[1]


def test_a_frame_without_any_place_is_exported_without_an_annotation(
    mine, exported, taken, proposals
):
    """All v would be 0, which says that somebody calls it not labelled."""
    points, visible = proposals.points.copy(), proposals.visible.copy()
    points[2], visible[2] = 1.5, False
    write_proposals(
        mine / "labelling" / "proposals.csv", proposals._replace(points=points, visible=visible)
    )
    found = exported("coco")
    assert [one["image_id"] for one in found["annotations"]] == [1, 2, 4, 5]
    assert f"4 {untouched.UNTOUCHED}" in taken(found)[1]
