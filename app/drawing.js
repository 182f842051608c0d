// The packet's corners and edges, drawn over the picture.

// As in cardpose/keypoints.py.
export const KEYPOINTS = [
  "upper_left_face",
  "upper_right_face",
  "upper_left_back",
  "upper_right_back",
  "lower_left_face",
  "lower_right_face",
  "lower_left_back",
  "lower_right_back",
];
export const EDGES = [
  ...[[2, 3], [3, 7], [7, 6], [6, 2]],
  ...[[0, 1], [1, 5], [5, 4], [4, 0]],
  ...[[0, 2], [1, 3], [4, 6], [5, 7]],
];
const ACROSS = { 4: 5, 5: 4, 6: 7, 7: 6 }; // the lower edge's corners, left for right
const BACK = "#58e07a";
const FACE = "#ffc21a";
const EDGE = "#ffffff";
const HIDDEN = "rgb(255 255 255 / 75%)";
const CASING = "rgb(0 0 0 / 60%)"; // under every line, so that it shows on any cloth

/** The pairs of corners to join: the packet's edges, uncrossed where names follow the picture. */
export function edges(points, visible) {
  if (!crossed(points, visible)) return EDGES;
  return EDGES.map(([a, b]) =>
    a < 4 === b < 4 ? [a, b] : [a, b].map((corner) => ACROSS[corner] ?? corner),
  );
}

// Seen straight from one side, a back's short edges lie far from level, and what is left of one may
// belong to what is right of the other: its long edges would cross.
function crossed(points, visible) {
  const back = [2, 6, 3, 7];
  if (!back.every((i) => visible[i])) return false;
  const [a, b, c, d] = back.map((i) => points[i]);
  const side = (p, q, r) =>
    Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  return side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b);
}

/**
 * The eight corners, the hidden ones where those seen say that they are, or null.
 *
 * The network was never told where a hidden corner is. But a packet's uprights change evenly from
 * corner to corner, so three of them say what the fourth is; and so do three corners of a card.
 */
export function completed(points, visible) {
  const end = crossed(points, visible) ? 5 : 4; // corner i and i ^ end share a long edge
  return points.map((point, i) => {
    if (visible[i]) return point;
    const under = i ^ 2; // face and back of the same corner
    const others = [i ^ 1, i ^ end, i ^ 1 ^ end]; // the last lies diagonally opposite
    const known = others.filter((k) => visible[k] && visible[k ^ 2]);
    const upright = (k) => [0, 1].map((axis) => points[k][axis] - points[k ^ 2][axis]);
    if (visible[under] && known.length) {
      const [a, b, c] = known.map(upright);
      return [0, 1].map((axis) => points[under][axis] + (c ? a[axis] + b[axis] - c[axis] : a[axis]));
    }
    if (!others.every((k) => visible[k])) return null;
    const [a, b, c] = others.map((k) => points[k]);
    return [0, 1].map((axis) => a[axis] + b[axis] - c[axis]);
  });
}

/**
 * Draw a packet. What the packet hides, or the picture does not hold, is thin and dashed.
 *
 * `points` are canvas pixels, eight [x, y]; `unit` is the width of a line.
 */
export function drawPacket(context, points, visible, unit) {
  const places = completed(points, visible);
  const lines = edges(points, visible).filter((line) => line.every((i) => places[i]));
  const shown = ([a, b]) => visible[a] && visible[b];
  const draw = (line, width, colour) => stroke(context, line.map((i) => places[i]), width, colour);
  context.lineCap = context.lineJoin = "round";
  context.setLineDash([2.5 * unit, 3.5 * unit]);
  for (const line of lines.filter((line) => !shown(line))) draw(line, 0.75 * unit, HIDDEN);
  context.setLineDash([]);
  for (const line of lines.filter(shown)) draw(line, 1.25 * unit, EDGE);
  for (const [i, place] of places.entries()) {
    if (!place) continue;
    context.beginPath();
    context.arc(...place, (visible[i] ? 3.5 : 2.5) * unit, 0, 2 * Math.PI);
    context.lineWidth = (visible[i] ? 1.5 : 1) * unit;
    context.fillStyle = visible[i] ? (KEYPOINTS[i].endsWith("back") ? BACK : FACE) : CASING;
    context.strokeStyle = visible[i] ? "rgb(0 0 0 / 75%)" : HIDDEN;
    context.fill();
    context.stroke();
  }
}

function stroke(context, [from, to], width, colour) {
  for (const [lineWidth, strokeStyle] of [[width * 2.2, CASING], [width, colour]]) {
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    Object.assign(context, { lineWidth, strokeStyle });
    context.stroke();
  }
}
