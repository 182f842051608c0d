// The box of a packet, from all pictures of it as they arrive: cardpose/geometry/sweep.py in
// JavaScript, which says what enters the estimate and why. tests/cli/test_page_sweep.py holds that
// both give the same numbers.

import { add, addMatrices, dot, scale, scaleMatrix } from "./matrices.js";
import { chooseTurns, distance, estimateBox, turn } from "./shared-box.js";

const VIEW_ANGLE = 5; // degrees; directions closer than that are one view
const LEAP = 40; // degrees; a longer step of the camera begins a new leg
const MOST_VIEWS = 100; // in memory; beyond, the two closest views are merged
const REPEATS = 0.3; // n pictures of one view weigh as much as n ** REPEATS views
const DOUBTFUL = 9; // squared distance from which a picture disagrees with the box
const CHANGED = 50; // squared distance from which several of them show another packet
const ROW = 5; // directions in a row that it takes
const MOST_DOUBTFUL = 25; // pictures in a row that are enough even from fewer directions
export const SECTORS = 36; // parts of the circle round the packet, for `covered`

const cosine = (degrees) => Math.cos((degrees * Math.PI) / 180);
const areClose = (a, b) => dot(a.direction, b.direction) > cosine(VIEW_ANGLE);
const directionOf = ({ camera }) => scale(camera, 1 / Math.max(Math.hypot(...camera), 1e-9));

/** The box that one picture or one view shows. */
const alone = (view) => estimateBox([view], [1]);

function turnView(view) {
  const [x, y, z] = view.direction;
  return { ...turn(view), direction: [-x, -y, z] };
}

/** The sum of two views, with the direction of the first. */
function joined(view, other) {
  return {
    ...view,
    information: addMatrices(view.information, other.information),
    vector: add(view.vector, other.vector),
    pictures: view.pictures + other.pictures,
  };
}

/** A view whose information and vector are multiplied by a factor. */
function weighted(view, factor) {
  const information = scaleMatrix(view.information, factor);
  return { ...view, information, vector: scale(view.vector, factor) };
}

export class Sweep {
  pictures = 0;
  #views = []; // {information, vector, direction, leg, pictures}: sums over one direction
  #doubtful = [];
  #last = null; // direction of the last picture
  #leg = 0;

  /**
   * Add a picture, {information, vector, camera}: what it says of the box, and the position of the
   * camera in the box's axes, in mm.
   *
   * Returns whether it and those before it show another packet. Then the sweep has begun again,
   * with the pictures of that packet alone.
   */
  add(picture) {
    const box = this.pictures >= ROW ? this.estimate() : null;
    this.#doubtful.push(picture);
    let changed = false;
    if (box && this.#disagrees(picture, box)) {
      const other = new Sweep();
      for (const each of this.#doubtful) other.#take(each);
      if (other.#views.length < ROW && this.#doubtful.length < MOST_DOUBTFUL) return false;
      changed = distance(box, other.estimate()) > CHANGED;
    }
    if (changed) {
      this.pictures = this.#leg = 0;
      this.#views = [];
      this.#last = null;
    }
    for (const each of this.#doubtful) this.#take(each);
    this.#doubtful = [];
    return changed;
  }

  /** Whether a picture disagrees with the box, and with all views from its direction. */
  #disagrees(picture, box) {
    const shown = alone(picture);
    if (distance(box, shown) < DOUBTFUL) return false;
    const view = { ...picture, direction: directionOf(picture) };
    return this.#views
      .filter((each) => areClose(each, view) || areClose(each, turnView(view)))
      .every((each) => distance(alone(weighted(each, 1 / each.pictures)), shown) >= DOUBTFUL);
  }

  /** The box, or null without pictures. */
  estimate() {
    const views = this.#oneLeg();
    if (!views.length) return null;
    const means = views.map((view) => weighted(view, 1 / view.pictures));
    return estimateBox(means, views.map((view) => view.pictures ** REPEATS));
  }

  /** From which of SECTORS directions round the packet there are pictures: SECTORS booleans. */
  covered() {
    const found = Array(SECTORS).fill(false);
    for (const { direction } of this.#oneLeg()) {
      const angle = (Math.atan2(direction[1], direction[0]) * 180) / Math.PI;
      for (const side of [-VIEW_ANGLE, 0, VIEW_ANGLE]) {
        found[Math.floor((((angle + side + 360) % 360) * SECTORS) / 360)] = true;
      }
    }
    return found;
  }

  /** Add a picture to the view from its direction, or as a new view. */
  #take(picture) {
    const { information, vector } = picture;
    const direction = directionOf(picture);
    let view = { information, vector, direction, leg: this.#leg, pictures: 1 };
    if (this.#last) {
      if (dot(view.direction.slice(0, 2), this.#last) < 0) view = turnView(view);
      if (dot(view.direction, this.#last) < cosine(LEAP)) view.leg = this.#leg += 1;
    }
    this.#last = view.direction;
    this.pictures += 1;
    const same = this.#views.findIndex((each) => each.leg === view.leg && areClose(each, view));
    if (same >= 0) this.#views[same] = joined(this.#views[same], view);
    else this.#views.push(view);
    if (this.#views.length > MOST_VIEWS) this.#mergeClosest();
  }

  /** Join all legs, then merge the two views whose directions are closest. */
  #mergeClosest() {
    const views = (this.#views = this.#oneLeg());
    this.#last = views.at(-1).direction;
    let [kept, gone, closest] = [0, 1, -Infinity];
    for (let i = 0; i < views.length; i++) {
      for (let k = i + 1; k < views.length; k++) {
        const near = dot(views[i].direction, views[k].direction);
        if (near > closest) [kept, gone, closest] = [i, k, near];
      }
    }
    views[kept] = joined(views[kept], views[gone]);
    views.splice(gone, 1);
  }

  /** The views as one leg, some turned, so that one box fits them. */
  #oneLeg() {
    const legs = [...new Set(this.#views.map((view) => view.leg))].sort((a, b) => a - b);
    if (legs.length < 2) return [...this.#views];
    const sums = legs.map((leg) =>
      this.#views
        .filter((view) => view.leg === leg)
        .map((view) => weighted(view, view.pictures ** (REPEATS - 1)))
        .reduce(joined),
    );
    const turns = chooseTurns(sums);
    return this.#views.map((view) => {
      const turned = turns[legs.indexOf(view.leg)] ? turnView(view) : view;
      return { ...turned, leg: legs.at(-1) };
    });
  }
}
