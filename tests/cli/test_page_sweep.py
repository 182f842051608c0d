"""The page's estimate of a packet, app/sweep.js, gives the same numbers as `geometry.sweep`."""

import json

import numpy as np
import pytest
from browser_page import run_node

from cardpose.cli.site import APP
from cardpose.geometry.shared_box import TURNED_BOX
from cardpose.geometry.sweep import Contribution, Sweep

_SCRIPT = """
import { readFileSync } from "node:fs";
const { Sweep } = await import(process.argv[1]);
const sweep = new Sweep();
const told = JSON.parse(readFileSync(0)).map((picture) => {
    const changed = sweep.add(picture);
    const { numbers, covariance } = sweep.estimate();
    return { changed, numbers, covariance, covered: sweep.covered(), pictures: sweep.pictures };
});
console.log(JSON.stringify(told));
"""


def pictures(seed, box, azimuths, wild=0.05):
    """Return contributions of pictures of a box, taken from azimuths in degrees.

    Names follow the picture: a camera behind the packet sees it turned. `wild` is the share of
    pictures that show something else.
    """
    rng = np.random.default_rng(seed)
    made = []
    for azimuth in np.radians(np.add(azimuths, 0.37)):  # not on the border of a sector
        elevation = rng.uniform(0.4, 0.9)
        level, height = np.cos(elevation), np.sin(elevation)
        camera = 250 * np.array([level * np.cos(azimuth), level * np.sin(azimuth), height])
        # Thickness is confused with the lean towards the camera.
        seen = np.array([height, -np.cos(azimuth), -np.sin(azimuth), 0.3])
        axes = np.vstack([seen, rng.normal(0, 0.2, (2, 4))])
        information = 40 * axes.T @ axes
        numbers = box + rng.normal(0, 0.15, 4) + (rng.random() < wild) * rng.normal(0, 3, 4)
        signs, turned = np.ones(4), np.ones(3)
        if camera[1] < 0:
            signs, turned = TURNED_BOX, np.array([-1, -1, 1])
        matrix = information * signs[:, None] * signs
        made.append(Contribution(matrix, matrix @ (numbers * signs), camera * turned))
    return made


_THICK, _THIN = np.array([9.0, 1.0, -2.0, 0.3]), np.array([3.0, -0.5, 0.4, 0.0])
RECORDINGS = {
    "once round": pictures(1, _THICK, np.arange(0, 360, 3)),
    "one picture": pictures(2, _THICK, [20]),
    "legs": pictures(3, _THICK, [10, 15, 100, 105, 230, 20, 340, 60, 170, 90, 300, 15]),
    "another packet": [
        *pictures(4, _THICK, np.arange(0, 120, 4)),
        *pictures(5, _THIN, np.arange(30, 150, 4)),
    ],
    "more views than are kept": pictures(6, _THIN, np.arange(0, 1080, 2.5), wild=0.1),
    "more legs than views are kept": pictures(
        7, _THICK, np.random.default_rng(0).uniform(0, 360, 300)
    ),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_page_estimates_the_same_box(name):
    given = [{key: value.tolist() for key, value in p._asdict().items()} for p in RECORDINGS[name]]
    found = json.loads(run_node(_SCRIPT, APP / "sweep.js", stdin=json.dumps(given)))
    sweep, restarts = Sweep(), 0
    for i, (picture, told) in enumerate(zip(RECORDINGS[name], found, strict=True)):
        changed = sweep.add(picture)
        restarts += changed
        assert told["changed"] == changed
        assert told["pictures"] == sweep.pictures
        if i % 10 and i < len(found) - 1:
            continue  # takes long with many views
        box = sweep.estimate()
        assert told["covered"] == sweep.covered()
        np.testing.assert_allclose(told["numbers"], box.numbers, rtol=0, atol=1e-6)
        np.testing.assert_allclose(told["covariance"], box.covariance, rtol=0, atol=1e-6)
    assert restarts == (name == "another packet")
