// One box from several views of a packet: cardpose/geometry/shared_box.py in JavaScript. The test
// tests/cli/test_page_sweep.py holds that both give the same numbers.
//
// A view is {information, vector}: a 4 x 4 matrix and four numbers, in 1/mm^2 and 1/mm. A box is
// {numbers, covariance}: thickness, lean along the short and the long edge, and twist, in mm.

import { add, addMatrices, diagonal, dot, inverse, scale } from "./matrices.js";
import { scaleMatrix, solve, solveMatrix, times } from "./matrices.js";

export const TURNED_BOX = [1, -1, -1, 1]; // signs of a box's numbers after half a turn
const FREEDOM = 4; // degrees of freedom of the t distribution of a view's error
const ROUNDS = 6; // of reweighting
const USUAL = 6; // mm, first guess of a thickness
const THICKEST = 20; // mm, largest thickness for which the prior on lean is computed
const FAINT = 1e-6; // 1/mm^2, keeps matrices of few views invertible
const MODEL_ERROR = 0.3; // mm, because no packet is an exact box
// As in cardpose/geometry/priors.py.
const TWIST = 1; // mm
const leanDeviation = (thickness) => (0.4 + 0.07 * thickness) * Math.sqrt(6 / 4); // mm

/** The inverse covariance of the prior, in 1/mm^2. Its mean is zero. */
function priorPrecision(thickness = USUAL) {
  const lean = 1 / leanDeviation(Math.min(Math.max(thickness, 0), THICKEST)) ** 2;
  return diagonal([FAINT, lean, lean, 1 / TWIST ** 2]);
}

/** The box that fits views best, each with its weight. All have to be in the same turn. */
export function estimateBox(views, weights) {
  let trust = weights.map(() => 1);
  let thickness = USUAL;
  let numbers, total, spread;
  for (let round = 0; round < ROUNDS; round++) {
    const precision = priorPrecision(thickness);
    total = precision;
    let right = [0, 0, 0, 0];
    views.forEach(({ information, vector }, i) => {
      total = addMatrices(total, scaleMatrix(information, weights[i] * trust[i]));
      right = add(right, scale(vector, weights[i] * trust[i]));
    });
    numbers = solve(total, right);
    const off = views.map((view) => excessCost(view, numbers, precision));
    spread = Math.max(median(off) / 3, 1);
    trust = off.map((cost) => (FREEDOM + 4) / (FREEDOM + cost / spread));
    thickness = numbers[0];
  }
  return { numbers, covariance: scaleMatrix(inverse(total), spread) };
}

/** By how much the cost of a view exceeds its least cost. */
function excessCost({ information, vector }, numbers, precision) {
  const slope = add(times(information, numbers), scale(vector, -1));
  const faint = diagonal([FAINT, FAINT, FAINT, FAINT]);
  const firm = addMatrices(addMatrices(information, scaleMatrix(precision, 0.5)), faint);
  return dot(slope, solve(firm, slope));
}

/** The view after half a turn of the box. */
export function turn(view) {
  const { information, vector } = view;
  const turned = turnMatrix(information);
  return { ...view, information: turned, vector: vector.map((value, i) => value * TURNED_BOX[i]) };
}

function turnMatrix(matrix) {
  return matrix.map((row, i) => row.map((value, k) => value * TURNED_BOX[i] * TURNED_BOX[k]));
}

/**
 * Which views to turn, so that one box fits all of them.
 *
 * The view that says most comes first and stays. Each other one takes the turn in which the box
 * that fits best to it and all before costs less.
 */
export function chooseTurns(views) {
  let total = priorPrecision();
  let right = [0, 0, 0, 0];
  const turns = views.map(() => false);
  const said = views.map(({ information }) => certainty(information));
  const order = views.map((_, i) => i).sort((a, b) => said[b] - said[a]);
  for (const i of order) {
    const ways = [views[i], turn(views[i])].map(({ information, vector }) => {
      const sum = [addMatrices(total, information), add(right, vector)];
      return { sum, cost: -dot(sum[1], solve(...sum)) };
    });
    turns[i] = ways[1].cost < ways[0].cost;
    [total, right] = ways[Number(turns[i])].sum;
  }
  return turns.map((each) => each !== turns[0]);
}

/** How many of the four numbers a view tells to much better than 0.1 mm. */
function certainty(information) {
  const solved = solveMatrix(addMatrices(information, diagonal([100, 100, 100, 100])), information);
  return solved.reduce((sum, row, i) => sum + row[i], 0);
}

/** The squared Mahalanobis distance of two boxes, the smaller one of both turns. */
export function distance(box, other) {
  const noise = diagonal([MODEL_ERROR ** 2, MODEL_ERROR ** 2, MODEL_ERROR ** 2, MODEL_ERROR ** 2]);
  const firm = addMatrices(box.covariance, noise);
  const away = (numbers, covariance) => {
    const off = add(box.numbers, scale(numbers, -1));
    return dot(off, solve(addMatrices(firm, covariance), off));
  };
  const turned = other.numbers.map((value, i) => value * TURNED_BOX[i]);
  return Math.min(
    away(other.numbers, other.covariance),
    away(turned, turnMatrix(other.covariance)),
  );
}

/** The middle of `values`; of an even number of them, the mean of both middle ones. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2;
}
