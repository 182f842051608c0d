"""Cameras against OpenCV's, and visible corners against rays cast at the packet."""

import cv2
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from cardpose.geometry.camera import Camera, orbit
from cardpose.geometry.card import (
    CARD_LENGTH,
    CARD_WIDTH,
    CORNER_RADIUS,
    card_corners,
    card_outline,
    packet_keypoints,
)


def opencv_project(camera, points):
    """The same camera in OpenCV: its intrinsic matrix, its rotation, its translation."""
    matrix = np.array(
        [[camera.focal, 0, camera.width / 2], [0, camera.focal, camera.height / 2], [0, 0, 1.0]]
    )
    shift = -camera.rotation @ camera.position
    turn = cv2.Rodrigues(camera.rotation)[0]
    return cv2.projectPoints(points.reshape(-1, 3), turn, shift, matrix, None)[0][:, 0]


def random_camera(rng):
    return orbit(
        rng.uniform(0, 2 * np.pi),
        np.radians(rng.uniform(15, 80)),
        rng.uniform(95, 400),
        rng.uniform(-10, 10, 3),
        rng.uniform(100, 400, 2),
        rng.uniform(-0.3, 0.3),
        680,
        640,
        480,
    )


def packet(top):
    """Bottom and top corners of a packet that is `top` mm high and not slipped."""
    corners = card_corners()
    return np.column_stack([corners, np.zeros(4)]), np.column_stack([corners, np.full(4, top)])


def test_project_agrees_with_opencv():
    rng = np.random.default_rng(0)
    for _ in range(50):
        camera = random_camera(rng)
        points = rng.uniform([-50, -50, 0], [50, 50, 16], (4, 5, 3))
        seen = camera.project(points)
        assert seen.shape == (4, 5, 2)
        assert np.allclose(seen.reshape(-1, 2), opencv_project(camera, points), atol=1e-6)


def test_a_camera_straight_above_shows_the_table_to_scale():
    # 100 mm above the table, focal length 200: 2 pixels a mm; x runs right and y up.
    down = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
    camera = Camera(np.array([0, 0, 100.0]), down, 200.0, 640, 480)
    seen = camera.project(np.array([[0, 0, 0.0], [10, 0, 0], [0, 10, 0], [10, 10, 50]]))
    # The last is 50 mm from the camera: 4 pixels a mm.
    assert np.allclose(seen, [[320, 240], [340, 240], [320, 220], [360, 200]])


def test_plane_takes_points_of_a_plane_where_opencv_does():
    rng = np.random.default_rng(1)
    for z in (0.0, 7.5, 15.6):
        camera = random_camera(rng)
        flat = rng.uniform(-50, 50, (20, 2))
        mapped = cv2.perspectiveTransform(flat[None], camera.plane(z))[0]
        points = np.column_stack([flat, np.full(20, z)])
        assert np.allclose(mapped, opencv_project(camera, points), atol=1e-6)


def test_orbit_shows_its_target_at_its_aim_from_its_distance():
    rng = np.random.default_rng(2)
    for _ in range(50):
        target, aim = rng.uniform(-20, 20, 3), rng.uniform(0, 480, 2)
        distance = rng.uniform(90, 300)
        camera = orbit(
            rng.uniform(-7, 7), rng.uniform(0.2, 1.4), distance, target, aim, 0.0, 680, 640, 480
        )
        assert np.linalg.norm(camera.position - target) == pytest.approx(distance)
        assert np.allclose(opencv_project(camera, target), aim)
        # A rotation, no mirror image.
        assert np.allclose(camera.rotation @ camera.rotation.T, np.eye(3))
        assert np.linalg.det(camera.rotation) == pytest.approx(1)


def test_azimuth_and_elevation_place_the_camera():
    camera = orbit(np.pi / 2, np.radians(30), 200, [1, 2, 3], (320, 240), 0.0, 680, 640, 480)
    # cos 30 x 200 = 173.205 along y, sin 30 x 200 = 100 up.
    assert np.allclose(camera.position, [1, 2 + 173.205, 3 + 100], atol=1e-3)


def test_an_orbiting_camera_is_upright():
    rng = np.random.default_rng(3)
    for _ in range(50):
        target, aim = rng.uniform(-20, 20, 3), rng.uniform(100, 400, 2)
        camera = orbit(
            rng.uniform(-7, 7), rng.uniform(0.2, 1.4), 200, target, aim, 0.0, 680, 640, 480
        )
        x, y = opencv_project(camera, target + np.array([0, 0, 10]))[0]
        assert x == pytest.approx(aim[0], abs=1e-6)
        assert y < aim[1] - 1


def test_roll_turns_the_picture_about_its_middle():
    aim = (400, 240)  # 80 right of the middle
    camera = orbit(0.3, 0.7, 200, [0, 0, 0], aim, np.radians(90), 680, 640, 480)
    # A quarter turn clockwise, as one sees it, takes it to 80 below the middle.
    assert np.allclose(opencv_project(camera, np.zeros(3)), [[320, 320]])


def test_the_outline_of_a_card_is_as_large_as_a_card_and_its_corners_are_round():
    outline = card_outline()
    assert np.allclose(outline.max(axis=0), [31.5, 44])
    assert np.allclose(outline.min(axis=0), [-31.5, -44])
    # Every point of a corner is 3 mm from that corner's centre, at (28.5, 41).
    assert np.allclose(np.hypot(*(abs(outline) - [28.5, 41]).T), 3)
    # Counter-clockwise: the shoelace formula gives a positive area, of the rounded card.
    x, y = outline.T
    area = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
    assert area == pytest.approx(63 * 88 - (4 - np.pi) * 9, rel=1e-3)


def test_another_card_has_its_own_outline():
    outline = card_outline(width=57, length=90)
    assert np.allclose(outline.max(axis=0), [28.5, 45])
    assert np.allclose(outline.min(axis=0), [-28.5, -45])
    # Rounded alike: 3 mm from the corner's centre, at (25.5, 42).
    assert np.allclose(np.hypot(*(abs(outline) - [25.5, 42]).T), 3)


def test_corners_lie_on_the_rounded_outline_where_it_reaches_furthest_out():
    corners = card_corners()
    # From the centre of the rounding, 3 mm out along the diagonal.
    x, y = 28.5 + 3 / np.sqrt(2), 41 + 3 / np.sqrt(2)
    assert np.allclose(corners, [[-x, y], [x, y], [-x, -y], [x, -y]])
    for signs in ((-1, 1), (1, 1), (-1, -1), (1, -1)):
        assert (card_outline() @ signs).max() == pytest.approx(x + y)


def seen_by(position, aim=(320, 240), top=15.0, focal=500):
    """packet_keypoints of a camera at `position` that looks at the origin."""
    position = np.asarray(position, float)
    distance = np.linalg.norm(position)
    azimuth = np.arctan2(position[1], position[0])
    elevation = np.arcsin(position[2] / distance)
    camera = orbit(azimuth, elevation, distance, np.zeros(3), aim, 0.0, focal, 640, 480)
    return packet_keypoints(camera, *packet(top))


def test_from_the_front_of_a_short_side_the_far_corners_of_the_face_are_hidden():
    points, visible = seen_by([0, -250, 150])
    # Upper left and right face; their backs; lower left and right face; their backs.
    assert visible.tolist() == [False, False, True, True, True, True, True, True]
    # The camera looks along +y, so x runs right and the upper left corner is at (-30.62, 43.12).
    # Its depth along (250 y - 150 z) / 291.5 and its height across that, by hand:
    #   y = 43.12, z = 0: 291.55 + 36.97 = 328.52 deep, 22.19 up.
    assert points[0] == pytest.approx(
        [320 - 500 * 30.62 / 328.52, 240 - 500 * 22.19 / 328.52], abs=0.1
    )
    # y = -43.12, z = 0: 291.55 - 36.97 = 254.58 deep, 22.19 down.
    assert points[5] == pytest.approx(
        [320 + 500 * 30.62 / 254.58, 240 + 500 * 22.19 / 254.58], abs=0.1
    )


def test_from_a_long_side_one_corner_of_each_short_edge_is_hidden():
    # From +x both corners at -x are hidden: they stand higher in the picture than those at +x.
    points, visible = seen_by([250, -30, 150])
    assert visible[[2, 3, 6, 7]].all()
    assert visible[[0, 1, 4, 5]].sum() == 2
    hidden = points[[0, 1, 4, 5]][~visible[[0, 1, 4, 5]]]
    shown = points[[0, 1, 4, 5]][visible[[0, 1, 4, 5]]]
    assert hidden[:, 1].max() < shown[:, 1].min()


def test_from_a_corner_only_the_opposite_corner_of_the_face_is_hidden():
    # From (+, -) the corner at (-, +) is hidden; it is at the upper end, on its left.
    visible = seen_by([150, -200, 120])[1]
    assert visible.tolist() == [False, True, True, True, True, True, True, True]


def test_from_straight_above_only_the_back_is_seen():
    visible = seen_by([5, -10, 300])[1]
    assert visible.tolist() == [False, False, True, True, False, False, True, True]


def test_a_corner_outside_the_picture_is_not_visible():
    # As from the front of the short side, but aimed so low that the near end leaves the picture.
    points, visible = seen_by([0, -250, 150], aim=(320, 460))
    assert points[4:, 1].min() > 480
    assert visible.tolist() == [False, False, True, True, False, False, False, False]


def test_a_packet_that_has_slipped_is_seen_from_where_it_stands():
    # The camera stands 5 mm outside the long side of a card at the origin, but a packet moved
    # by 10 mm hides its own side from it.
    steep = np.radians(70)
    distance = 36.5 / np.cos(steep)
    camera = orbit(0.0, steep, distance, np.zeros(3), (1000, 1000), 0.0, 300, 2000, 2000)
    assert camera.position[0] == pytest.approx(36.5)
    face, back = packet(15.0)
    assert packet_keypoints(camera, face, back)[1].sum() == 6
    moved = np.array([10, 0, 0])
    assert packet_keypoints(camera, face + moved, back + moved)[1].sum() == 4


def blocked(eye, point, top):
    """Whether the packet's sharp-edged box lies between an eye and a point: the slab test."""
    low = np.array([-CARD_WIDTH / 2, -CARD_LENGTH / 2, 0])
    high = np.array([CARD_WIDTH / 2, CARD_LENGTH / 2, top])
    ray = eye - point
    with np.errstate(divide="ignore"):
        times = np.sort([(low - point) / ray, (high - point) / ray], axis=0)
    enter, leave = max(times[0].max(), 0), min(times[1].min(), 1)
    return leave > enter


def test_a_corner_is_hidden_where_the_packet_stands_between_it_and_the_camera():
    rng = np.random.default_rng(4)
    checked = np.zeros(2, int)
    for _ in range(400):
        where = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(15, 80)), rng.uniform(95, 400)
        # Such a wide picture shows the whole packet.
        camera = orbit(*where, np.zeros(3), (5000, 5000), 0.0, 300, 10000, 10000)
        gap = abs(camera.position[:2]) - [CARD_WIDTH / 2, CARD_LENGTH / 2]
        top = rng.uniform(0.3, 15.6)
        if abs(gap).min() < 1 or camera.position[2] < top + 1:  # looks along a side or the back
            continue
        face, back = packet(top)
        points, visible = packet_keypoints(camera, face, back)
        for corner in np.concatenate([face, back]):
            seen = opencv_project(camera, corner)[0]
            index = np.hypot(*(points - seen).T).argmin()
            # The corner as if it were sharp, a hair outside the box.
            sign = np.sign(corner[:2])
            height = 1e-6 * (1 if corner[2] else -1)
            outside = corner + np.append(sign * (CORNER_RADIUS * (1 - np.sqrt(0.5)) + 1e-6), height)
            hidden = blocked(camera.position, outside, top)
            assert visible[index] == (not hidden)
            checked[int(hidden)] += 1
    assert checked.min() > 300


def crosses(hull, eye, point):
    """Whether a line of sight crosses a convex body, by clipping it against all its planes."""
    normal, offset = hull.equations[:, :3], hull.equations[:, 3]
    at_point, at_eye = normal @ point + offset, normal @ eye + offset
    enter, leave = 0.0, 1.0
    for a, b in zip(at_point, at_eye, strict=True):
        if a > 0 and b > 0:
            return False
        if a > 0:
            enter = max(enter, a / (a - b))
        elif b > 0:
            leave = min(leave, a / (a - b))
    return leave > enter + 1e-12


def test_a_leaning_packet_hides_what_it_overhangs():
    rng = np.random.default_rng(5)
    checked = np.zeros(2, int)
    for _ in range(300):
        where = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(15, 70)), rng.uniform(120, 400)
        camera = orbit(*where, np.zeros(3), (5000, 5000), 0.0, 300, 10000, 10000)
        lean, top = rng.uniform(-3, 3, 2), rng.uniform(1, 10)
        face, back = packet(top)
        face = face + np.append(lean, 0)
        card = (CARD_WIDTH / 2, CARD_LENGTH / 2) * np.sign(card_corners())  # without rounding
        body = np.concatenate([np.insert(card + lean, 2, 0, 1), np.insert(card, 2, top, 1)])
        hull = ConvexHull(body)
        points, visible = packet_keypoints(camera, face, back)
        for corner, sharp in zip(face, body[:4], strict=True):
            index = np.hypot(*(points - opencv_project(camera, corner)[0]).T).argmin()
            middle = np.append(lean, 0)
            near, far = (middle + (sharp - middle) * (1 + e) for e in (1e-6, 1e-1))
            hidden = crosses(hull, camera.position, near)
            if hidden != crosses(hull, camera.position, far):
                continue  # the camera looks along a side
            assert visible[index] == (not hidden)
            checked[int(hidden)] += 1
    assert checked.min() > 100


@pytest.mark.parametrize(("out", "seen"), [(101, True), (99, False)])
def test_a_step_hides_the_face_below_it(out, seen):
    """The upper cards stand out by 1 mm at a height of 1 mm; the camera is 100 mm high."""
    face, back = packet(10.0)
    back = back + np.array([1, 0, 0])
    eye = np.array([CARD_WIDTH / 2 + out, 0, 100.0])
    distance = np.linalg.norm(eye)
    where = 0.0, np.arcsin(eye[2] / distance), distance
    camera = orbit(*where, np.zeros(3), (5000, 5000), 0.0, 300, 10000, 10000)
    overhang = np.array([[-1.0, 9.0], [1.0, 9.0]])  # the short sides are out of sight
    visible = packet_keypoints(camera, face, back, overhang)[1]
    assert visible.sum() == (6 if seen else 4)
