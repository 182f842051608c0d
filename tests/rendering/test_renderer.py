"""Rendered pictures against OpenCV's projection, and annotations against the pictures."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from support import contributed

from cardpose.geometry.card import card_outline
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.geometry.sweep import share_box
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

FRAMES = 240
CHECKED_FRAMES = range(0, FRAMES, 12)
THICKNESS = 0.30  # mm a card
POKER = 63, 88, THICKNESS
# Decks as they are sold, in mm, and focal lengths from wide angle to telephoto.
OTHERS = {
    "bridge": ((57, 88, 0.28), 1.06),
    "mini": ((44, 63, 0.3), 2.0),
    "tarot": ((70, 120, 0.35), 0.75),
}


@pytest.fixture(scope="module")
def scene():
    return random_scene(0, 40, FRAMES)


def flat(scene, cards):
    """Return the scene with a flat white packet on a black table."""
    return replace(
        scene,
        cards=cards,
        table=np.zeros_like(scene.table),
        back=np.full_like(scene.back, 255),
        shifts=np.zeros((cards, 2)),
        turns=np.zeros(cards),
        bend=(0, 0, 0),
        edge_colours=np.full((cards, 3), 255.0),
        ambient=1.0,
        glare=0.0,
        aperture=0.0,
        shutter=0.0,
        noise=np.zeros_like(scene.noise),
        tone=np.ones_like(scene.tone),
        gamma=1.0,
    )


@pytest.fixture(scope="module")
def plain(scene):
    return lambda cards: flat(scene, cards)


@pytest.fixture(scope="module")
def small_scenes():
    """Two scenes of one seed, then one of another."""
    return [random_scene(seed, 5, 3) for seed in (7, 7, 8)]


def world_corners(scene, card=POKER):
    """Return the corners of the lowest card, then of the top of the topmost, in mm: (8, 3)."""
    # From the centre of the rounding, 3 mm out along the diagonal.
    x, y = (side / 2 - 3 + 3 / np.sqrt(2) for side in card[:2])
    corners = np.array([[-x, y], [x, y], [-x, -y], [x, -y]])
    height = bent(scene.bend, *(2 * corners / card[:2]).T)
    height = height - bent(scene.bend, *np.meshgrid(*[np.linspace(-1, 1, 201)] * 2)).min()
    angle = scene.turns[0]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    face = np.column_stack([corners @ turn.T + scene.shifts[0], height])
    back = np.column_stack([corners + scene.shifts[-1], height + scene.cards * card[2]])
    return np.concatenate([face, back])


def bent(bend, u, v):
    """Return the height in mm of a bent card at (u, v), each -1 to 1 from edge to edge."""
    twist, along, across = bend
    return twist * u * v + along * (1 - v**2) + across * (1 - u**2)


def opencv_project(camera, points):
    matrix = np.array(
        [[camera.focal, 0, camera.width / 2], [0, camera.focal, camera.height / 2], [0, 0, 1.0]]
    )
    shift = -camera.rotation @ camera.position
    turn = cv2.Rodrigues(camera.rotation)[0]
    return cv2.projectPoints(points, turn, shift, matrix, None)[0][:, 0]


def test_annotations_are_where_opencv_projects_the_corners(scene):
    compare_with_opencv(scene, POKER)


def compare_with_opencv(scene, card):
    renderer = Renderer(scene)
    world = world_corners(scene, card)
    for index in CHECKED_FRAMES:
        points, _ = renderer.keypoints(index)
        seen = opencv_project(scene.cameras[index], world)
        apart = np.hypot(*np.moveaxis(points[:, None] - seen, 2, 0))  # (8, 8)
        nearest = apart.argmin(axis=1)
        assert sorted(nearest) == list(range(8))
        assert apart.min(axis=1).max() < 1e-6
        for name, corner in zip(KEYPOINTS, nearest, strict=True):
            assert (corner < 4) == name.endswith("face")


def test_keypoint_names_follow_the_picture(scene):
    renderer = Renderer(scene)
    for index in CHECKED_FRAMES:
        # Axes: upper and lower, face and back, left and right, x and y.
        points = renderer.keypoints(index)[0].reshape(2, 2, 2, 2)
        assert (points[:, :, 0, 0] < points[:, :, 1, 0]).all()
        assert points[0, ..., 1].mean() < points[1, ..., 1].mean()


def test_visible_keypoints_lie_in_the_picture_and_are_not_hidden(scene):
    renderer = Renderer(scene)
    for index in CHECKED_FRAMES:
        points, visible = renderer.keypoints(index)
        inside = ((points >= 0) & (points <= [640, 480])).all(axis=1)
        back = np.array([name.endswith("back") for name in KEYPOINTS])
        assert np.array_equal(visible[back], inside[back])
        assert not visible[~inside].any()
        # A camera sees the corners of the face on one side, or on two sides that meet.
        assert visible[~back].sum() <= 3
        if inside.all():
            assert visible[~back].sum() >= 2


def outline(picture):
    """Return the outline of a white packet, eight times enlarged, and whether it is whole."""
    fine = cv2.resize(picture[..., 0], None, fx=8, fy=8, interpolation=cv2.INTER_LINEAR)
    mask = (fine > 127).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    assert len(contours) == 1
    whole = not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    return contours[0], whole


@pytest.mark.parametrize("cards", [1, 52])
@pytest.mark.parametrize("bend", [(0, 0, 0), (1.0, 0.5, 0.2), (-1.5, -0.4, 0)])
def test_visible_corners_lie_on_the_outline_of_the_drawn_packet(plain, cards, bend):
    packet = replace(plain(cards), bend=bend)
    renderer, world = Renderer(packet), world_corners(packet)
    checked = {"face": 0, "back": 0}
    for index in CHECKED_FRAMES:
        camera = packet.cameras[index]
        points, visible = renderer.keypoints(index)
        seen = opencv_project(camera, world)
        contour, _ = outline(renderer.frame(index))
        for point, name in zip(points[visible], np.array(KEYPOINTS)[visible], strict=True):
            corner = world[np.hypot(*(seen - point).T).argmin()]
            # Where a corner faces the camera, the packet's lower outline is the outline in the
            # picture. Where it turns away, the upper one is.
            faces = (camera.position[:2] - corner[:2]) @ np.sign(corner[:2]) > 0
            if faces == name.endswith("face"):
                at = (point * 8 - 0.5).tolist()
                assert abs(cv2.pointPolygonTest(contour, at, True)) / 8 < 1
                checked[name[-4:]] += 1
    assert min(checked.values()) > 10


def compare_with_outline(scene, heights, slip, growth, card=POKER):
    """Compare each frame's blob with the outlines of a card at `heights`, in mm.

    `slip` is how far their middles may lie apart, and `growth` how far their edges, in pixels.
    """
    renderer, checked = Renderer(scene), 0
    sides = card_outline(arc_points=20, width=card[0], length=card[1])
    solid = np.concatenate([np.insert(sides, 2, z, axis=1) for z in heights])
    for index in CHECKED_FRAMES:
        contour, whole = outline(renderer.frame(index))
        if not whole:
            continue
        hull = cv2.convexHull(opencv_project(scene.cameras[index], solid).astype(np.float32))
        expected, found = cv2.moments(hull), cv2.moments(contour)
        larger = found["m00"] / 64 - expected["m00"]
        assert abs(larger) / cv2.arcLength(hull, True) < growth
        for first in ("m10", "m01"):
            middle = expected[first] / expected["m00"]
            assert (found[first] / found["m00"] + 0.5) / 8 == pytest.approx(middle, abs=slip)
        checked += 1
    assert checked >= 5


def test_the_packet_fills_the_picture_from_its_lower_to_its_upper_outline(plain):
    compare_with_outline(plain(30), (0, 30 * THICKNESS), slip=0.4, growth=0.3)


def test_the_back_lies_on_top_of_the_packet(plain):
    packet = replace(plain(30), edge_colours=np.zeros((30, 3)))
    compare_with_outline(packet, (30 * THICKNESS,), slip=0.15, growth=0.3)


@pytest.mark.parametrize("bend", [(0, 0, 0), (2.0, 1.0, 0.5), (-2.0, 0.5, -0.5)])
def test_a_bent_back_is_drawn_where_opencv_projects_it(plain, bend):
    """The packet is black but for its white back."""
    packet = replace(plain(30), edge_colours=np.zeros((30, 3)), bend=bend)
    renderer, checked = Renderer(packet), 0
    sides = np.concatenate(
        [a + (b - a) * np.linspace(0, 1, 50)[:, None] for a, b in pairwise(card_outline())]
    )
    grid = np.meshgrid(*[np.linspace(-1, 1, 201)] * 2)
    height = bent(bend, *(2 * sides / POKER[:2]).T) - bent(bend, *grid).min()
    rim = np.column_stack([sides, height + 30 * THICKNESS])
    for index in CHECKED_FRAMES:
        contour, whole = outline(renderer.frame(index))
        if not whole:
            continue
        at = opencv_project(packet.cameras[index], rim)
        apart = [abs(cv2.pointPolygonTest(contour, (8 * x - 0.5).tolist(), True)) / 8 for x in at]
        assert max(apart) < 1
        checked += 1
    assert checked >= 5


def test_more_cards_cover_more_of_the_picture(plain):
    counts = (1, 2, 5, 20, 52)
    areas = []
    for cards in counts:
        renderer = Renderer(plain(cards))
        areas.append([(renderer.frame(index) > 127).mean() for index in CHECKED_FRAMES[::4]])
    assert (np.diff(areas, axis=0) > 0).all()


@pytest.fixture(scope="module", params=OTHERS.values(), ids=OTHERS.keys())
def other(request):
    """A scene with another deck and another camera; the deck; the focal length."""
    card, focal = request.param
    return random_scene(0, 40, FRAMES, card=card, focal=focal), card, focal


def test_another_deck_is_drawn_where_its_annotations_say(other):
    scene, card, _ = other
    compare_with_opencv(scene, card)
    packet = flat(scene, 30)
    compare_with_outline(packet, (0, 30 * card[2]), slip=0.45, growth=0.3, card=card)
    packet = replace(packet, edge_colours=np.zeros((30, 3)))
    compare_with_outline(packet, (30 * card[2],), slip=0.25, growth=0.3, card=card)


def extents(scene):
    """Return the median share of the picture's width and height that the back takes."""
    back = [name.endswith("back") for name in KEYPOINTS]
    renderer = Renderer(scene)
    points = np.array([renderer.keypoints(index)[0][back] for index in CHECKED_FRAMES])
    camera = scene.cameras[0]
    return np.median(np.ptp(points, axis=1) / [camera.width, camera.height], axis=0)


def test_another_deck_fills_the_picture_as_the_usual_one_does(scene, other):
    wide, high = extents(other[0]) / extents(scene)
    assert 0.8 < wide < 1.2
    assert 0.8 < high < 1.3


def test_the_focal_length_is_the_one_that_was_asked_for(other):
    scene, _, focal = other
    assert all(0.97 < camera.focal / 640 / focal < 1.035 for camera in scene.cameras)


def test_a_picture_of_more_pixels_has_the_same_field_of_view():
    scene = random_scene(7, 5, 3, width=1280, height=720)
    assert all(0.97 < camera.focal / 1280 / 1.06 < 1.035 for camera in scene.cameras)


def test_a_box_fitted_with_the_same_deck_and_camera_counts_the_cards(other):
    """The renderer and the box fit take the same two parameters."""
    scene, card, focal = other
    renderer = Renderer(scene)
    seen = [renderer.keypoints(index) for index in CHECKED_FRAMES]
    points, visible = (np.array(part) for part in zip(*seen, strict=True))
    box = share_box(contributed(points, visible, focal, card))
    assert box.thickness / card[2] == pytest.approx(40, abs=0.5)


@pytest.mark.parametrize("card", [(20, 20, 0.05), (300, 300, 5), (20, 300, 5), (300, 300, 0.05)])
@pytest.mark.parametrize("focal", [0.3, 5])
def test_the_packet_lies_before_the_camera_for_every_allowed_deck_and_focal_length(card, focal):
    cards = 52
    scene = random_scene(1, cards, 40, card=card, focal=focal)
    world = np.column_stack([world_corners(scene, card), np.ones(8)])
    for camera in scene.cameras:
        assert (world @ camera.projection[2] > card[0] / 20).all()
        assert camera.position[2] > cards * card[2]
    assert Renderer(scene).frame(20).std() > 3


@pytest.mark.parametrize("cards", [1, 52])
def test_a_single_card_and_a_whole_deck_are_rendered(cards):
    renderer = Renderer(random_scene(0, cards, 3))
    picture = renderer.frame(1)
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 3
    assert np.isfinite(renderer.keypoints(1)[0]).all()


def test_the_same_seed_gives_the_same_frames_and_another_seed_others(small_scenes):
    first, again, other = (Renderer(each) for each in small_scenes)
    for index in (0, 1, 2):
        assert first.frame(index).tobytes() == again.frame(index).tobytes()
        assert np.array_equal(first.keypoints(index)[0], again.keypoints(index)[0])
        assert first.frame(index).tobytes() != other.frame(index).tobytes()
        assert not np.array_equal(first.keypoints(index)[0], other.keypoints(index)[0])


def test_a_frame_does_not_depend_on_the_frames_before_it(small_scenes):
    alone, after = Renderer(small_scenes[0]), Renderer(small_scenes[0])
    for index in (0, 1):
        after.frame(index)
    assert alone.frame(2).tobytes() == after.frame(2).tobytes()
