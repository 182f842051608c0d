"""Mutants of the room `geometry`, and of the label fit that uses it."""

from mutants import Mutant

BOX_TEST = "tests/geometry/test_box.py"
PRIOR = "cardpose/geometry/pose_prior.py"
MUTANTS = [
    Mutant(
        "a card's thickness has no prior",
        "cardpose/geometry/card_fit.py",
        "firm = 1 / (_SPREAD * usual) ** 2",
        "firm = 0.0",
        "tests/geometry/test_card_fit.py",
    ),
    Mutant(
        "focal lengths do not follow the picture's longer side",
        "cardpose/geometry/box.py",
        "return self.focal / self.size[0] * longer",
        "return self.focal + 0.0 * longer",
        f"{BOX_TEST} -k longer_side",
    ),
    Mutant(
        "a picture's own focal length is ignored",
        "cardpose/geometry/box.py",
        "        if focal is None:\n            return points",
        "        if True:\n            return points",
        f"{BOX_TEST} -k away_from_the_middle",
    ),
    Mutant(
        "a picture's own focal length is applied the wrong way round",
        "cardpose/geometry/box.py",
        "(points - middle) * (self.focal / focal)",
        "(points - middle) * (focal / self.focal)",
        f"{BOX_TEST} -k away_from_the_middle",
    ),
    Mutant(
        "the fit of one picture ignores its focal length",
        PRIOR,
        "zoom = zero if focal is None else focal.double() / box.focal - 1",
        "zoom = zero",
        "tests/geometry/test_box_fit.py -k portrait",
    ),
    Mutant(
        "a packet of half a deck is the usual one",
        PRIOR,
        "(half_deck, half_deck) if thickness is None",
        "(half_deck, 0 * half_deck) if thickness is None",
        "tests/geometry/test_pose_prior.py -k all_thicknesses",
    ),
    Mutant(
        "steps of the fit are not limited where the prior is flat",
        PRIOR,
        "3 / prior.slack.square())",
        "0.0)",
        "tests/geometry/test_box_fit.py -k mirrored_back",
    ),
    Mutant(
        "a naming that lowers the cost of noise is taken",
        "cardpose/geometry/box_fit.py",
        "torch.inf, NOISE + cost)",
        "torch.inf, cost)",
        "tests/geometry/test_box_fit.py -k noise_does_not",
    ),
    Mutant(
        "leans of thin and thick packets are held alike in a recording",
        "cardpose/geometry/shared_box.py",
        "LEAN_PRIOR.deviation_of(min(max(thickness, 0.0), _THICKEST))",
        "LEAN_PRIOR.deviation_of(_USUAL)",
        "tests/geometry/test_sweep.py -k lean_further",
    ),
    Mutant(
        "a packet that nobody touched is begun again",
        "cardpose/geometry/sweep.py",
        "    for picture in pictures:\n        sweep.take(picture)",
        "    for picture in pictures:\n        sweep.add(picture)",
        "tests/geometry/test_sweep.py -k nobody_touched",
    ),
    Mutant(
        "a given thickness is not used for the shared box",
        "cardpose/geometry/sweep.py",
        "sweep = Sweep(thickness)",
        "sweep = Sweep()",
        "tests/geometry/test_sweep.py -k given_thickness",
    ),
    Mutant(
        "points far off pull the shared box",
        "cardpose/geometry/pose_fit.py",
        "weight / np.sqrt(1 + squares)",
        "weight",
        "tests/geometry/test_pose_fit.py -k far_off",
    ),
    Mutant(
        "a shared box is never turned",
        "cardpose/geometry/pose_fit.py",
        "stay = losses[0] <= losses[1]",
        "stay = losses[0] <= np.inf",
        "tests/geometry/test_pose_fit.py -k half_turn",
    ),
    Mutant(
        "the focal length of labels follows the height",
        "cardpose/checking/label_fit.py",
        "numpy_lens(UNIT, focal * UNIT[0])",
        "numpy_lens(UNIT, focal * UNIT[1])",
        "tests/checking/test_label_fit.py -k all_round",
    ),
    Mutant(
        "the back leans instead of the face",
        "cardpose/geometry/projection.py",
        "zero, face = np.zeros(8), 1 - back",
        "zero, face = np.zeros(8), back",
        "tests/geometry/test_projection.py -k lean",
    ),
    Mutant(
        "the zoom is ignored",
        "cardpose/geometry/projection.py",
        "scale = lens.focal * (1 + numbers[:, None, ZOOM:]) * nearness",
        "scale = lens.focal * (1 + 0 * numbers[:, None, ZOOM:]) * nearness",
        "tests/geometry/test_projection.py -k zoom",
    ),
    Mutant(
        "a packet that leans hides nothing below it",
        "cardpose/geometry/card.py",
        "half + overhang * eye[2]",
        "half",
        "tests/geometry/test_card.py",
    ),
    Mutant(
        "edges of a box that leans are seen as if it stood upright",
        "cardpose/geometry/box.py",
        "pose.lean * (1 - rise)[:, None]",
        "0 * pose.lean * (1 - rise)[:, None]",
        "tests/geometry/test_box.py",
    ),
]
