// The picture that was counted, with the packet's corners and edges.

// As in cardpose/geometry/keypoints.py.
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
const BACK = "#58e07a";
const FACE = "#ffc21a";
const EDGE = "#ffffff";
const HIDDEN = "rgb(255 255 255 / 75%)";
const CASING = "rgb(0 0 0 / 60%)"; // under every line, so that it shows on any cloth

/**
 * The eight corners of a box, the hidden ones where those seen say that they are, or null.
 *
 * The network was never told where a hidden corner is. But a packet's uprights change evenly from
 * corner to corner, so three of them say what the fourth is; and so do three corners of a card.
 */
export function completed(points, visible) {
  return points.map((point, i) => {
    if (visible[i]) return point;
    const under = i ^ 2; // face and back of the same corner
    const others = [i ^ 1, i ^ 4, i ^ 5]; // the last lies diagonally opposite
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
 * Draw the picture of an answer into a canvas, as large as it fits, and the packet if there is one.
 *
 * `answer` is null, or what `Counter.count` returns; `packet` says whether to draw the packet.
 */
export function drawAnswer(canvas, answer, packet) {
  const { clientWidth, clientHeight } = canvas;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(clientWidth * ratio); // clears it
  canvas.height = Math.round(clientHeight * ratio);
  if (!answer) return;
  const { picture, width, height } = answer;
  const context = canvas.getContext("2d");
  const scale = Math.min(canvas.width / width, canvas.height / height);
  const left = (canvas.width - width * scale) / 2;
  const top = (canvas.height - height * scale) / 2;
  context.drawImage(picture, left, top, width * scale, height * scale);
  if (!packet) return;
  context.beginPath();
  context.rect(left, top, width * scale, height * scale);
  context.clip();
  const places = answer.keypoints.map(([x, y]) => [left + x * scale, top + y * scale]);
  const unit = ratio * Math.min(2.5, Math.max(1.3, (width * scale) / ratio / 400));
  drawPacket(context, places, answer.visible, answer.corners, unit);
}

/**
 * Draw a packet. What the packet hides, or the picture does not hold, is thin and dashed.
 *
 * `points` are canvas pixels, eight [x, y]; `corners` says for each corner of a box which of them it
 * is; `unit` is the width of a line.
 */
export function drawPacket(context, points, visible, corners, unit) {
  const seen = corners.map((i) => visible[i]);
  const places = completed(corners.map((i) => points[i]), seen);
  const lines = EDGES.filter((line) => line.every((i) => places[i]));
  const shown = ([a, b]) => seen[a] && seen[b];
  const draw = (line, width, colour) => stroke(context, line.map((i) => places[i]), width, colour);
  context.lineCap = context.lineJoin = "round";
  context.setLineDash([2.5 * unit, 3.5 * unit]);
  for (const line of lines.filter((line) => !shown(line))) draw(line, 0.75 * unit, HIDDEN);
  context.setLineDash([]);
  for (const line of lines.filter(shown)) draw(line, 1.25 * unit, EDGE);
  for (const [i, place] of places.entries()) {
    if (!place) continue;
    context.beginPath();
    context.arc(...place, (seen[i] ? 3.5 : 2.5) * unit, 0, 2 * Math.PI);
    context.lineWidth = (seen[i] ? 1.5 : 1) * unit;
    context.fillStyle = seen[i] ? (KEYPOINTS[i].endsWith("back") ? BACK : FACE) : CASING;
    context.strokeStyle = seen[i] ? "rgb(0 0 0 / 75%)" : HIDDEN;
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
