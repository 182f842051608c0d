"""Mutants of the room `rendering`."""

from mutants import Mutant

MUTANTS = [
    Mutant(
        "the back's corners lie at the height of the face",
        "cardpose/rendering/renderer.py",
        "height + scene.thickness])",
        "height])",
        "tests/rendering/test_renderer.py",
    ),
    Mutant(
        "pictures are half a pixel off",
        "cardpose/rendering/opencv.py",
        "(points - 0.5) * (1 << SHIFT)",
        "points * (1 << SHIFT)",
        "tests/rendering/test_renderer.py",
    ),
    Mutant(
        "decks follow the count",
        "cardpose/rendering/scenes.py",
        ".permutation(_HOUSEHOLD)[place])",
        ".permutation(1)[0] + place)",
        "tests/rendering/test_scenes.py",
    ),
    Mutant(
        "a table always comes with the same deck",
        "cardpose/rendering/scenes.py",
        '{"deck": 4, "table": 5}',
        '{"deck": 4, "table": 4}',
        "tests/rendering/test_scenes.py",
    ),
    Mutant(
        "every packet for pretraining has the same scene",
        "cardpose/rendering/shots.py",
        "np.random.default_rng([seed, index])",
        "np.random.default_rng([seed])",
        "tests/rendering/test_shots.py",
    ),
    Mutant(
        "an undercut side is as bright as a straight one",
        "cardpose/rendering/sides.py",
        "lit * (1 - scene.overhang_shade * sine)",
        "lit",
        "tests/rendering/test_packet_shape.py",
    ),
    Mutant(
        "every packet leans evenly",
        "cardpose/rendering/packet_shape.py",
        "    if not number:",
        "    if number >= 0:",
        "tests/rendering/test_packet_shape.py",
    ),
    Mutant(
        "packets are fanned round their middle",
        "cardpose/rendering/packet_shape.py",
        "    shifts += pivot - turn_points(pivot, turns)",
        "    shifts += 0",
        "tests/rendering/test_packet_shape.py",
    ),
    Mutant(
        "an overhang throws no shadow on the table",
        "cardpose/rendering/lighting.py",
        "outline + shifts[-1] * scale",
        "outline",
        "tests/rendering/test_packet_shape.py",
    ),
    Mutant(
        "pictures for pretraining all have landscape format",
        "cardpose/rendering/shots.py",
        "if portrait else",
        "if not portrait and portrait else",
        "tests/rendering/test_shots.py",
    ),
]
