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
const CASING = "rgb(0 0 0 / 60%)"; // under every line, so that it shows on any cloth

/** The pairs of corners to join: the packet's edges, uncrossed where names follow the picture. */
export function edges(points) {
  if (!crossed(points)) return EDGES;
  const swapped = (a, b) => (a < 4 && b >= 4 ? [a, ACROSS[b]] : a >= 4 && b < 4 ? [ACROSS[a], b] : [a, b]);
  return EDGES.map(([a, b]) => swapped(a, b));
}

// Seen straight from one side, a back's short edges lie far from level, and what is left of one may
// belong to what is right of the other: its long edges would cross.
function crossed(points) {
  const [a, b, c, d] = [2, 6, 3, 7].map((i) => points[i]);
  const side = (p, q, r) => Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  return side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b);
}

/**
 * Draw a packet. What the packet hides, or the picture does not hold, is thin and dashed.
 *
 * `points` are canvas pixels, eight [x, y]; `unit` is the width of a line.
 */
export function drawPacket(context, points, visible, unit) {
  const shown = ([a, b]) => visible[a] && visible[b];
  const lines = edges(points);
  context.lineCap = context.lineJoin = "round";
  for (const line of lines.filter((line) => !shown(line))) {
    context.setLineDash([2.5 * unit, 3.5 * unit]);
    stroke(context, line.map((i) => points[i]), 0.75 * unit, "rgb(255 255 255 / 75%)");
  }
  context.setLineDash([]);
  for (const line of lines.filter(shown)) {
    stroke(context, line.map((i) => points[i]), 1.25 * unit, EDGE);
  }
  points.forEach(([x, y], i) => {
    context.beginPath();
    context.arc(x, y, (visible[i] ? 3.5 : 2.5) * unit, 0, 2 * Math.PI);
    context.lineWidth = (visible[i] ? 1.5 : 1) * unit;
    context.fillStyle = visible[i] ? (KEYPOINTS[i].endsWith("back") ? BACK : FACE) : CASING;
    context.strokeStyle = visible[i] ? "rgb(0 0 0 / 75%)" : "rgb(255 255 255 / 75%)";
    context.fill();
    context.stroke();
  });
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
