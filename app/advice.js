// What the person who films should do next.

const FEW = 5; // corners: a packet that shows fewer is cut off, or is none
const SMALL = 0.3; // share of the picture's longer side that a packet should fill
const STEEP = 58; // degrees above the table from which too little of the side shows
const ROUND = 0.7; // share of the circle from which going round adds little
const ROW = 4; // pictures in a row that it takes to give other advice

/**
 * What one picture advises.
 *
 * `camera` is the camera's position in the box's axes, or undefined; `covered` says of each sector
 * of the circle whether the packet has been seen from there.
 */
export function advise({ keypoints, visible, width, height }, camera, covered = []) {
  const seen = keypoints.filter((_, i) => visible[i]);
  if (seen.length < FEW) return "Show all of it";
  const extent = (axis) => {
    const places = seen.map((point) => point[axis]);
    return Math.max(...places) - Math.min(...places);
  };
  if (Math.max(extent(0), extent(1)) < SMALL * Math.max(width, height)) return "Closer";
  const rise = camera && Math.atan2(camera[2], Math.hypot(camera[0], camera[1]));
  if (rise > (STEEP * Math.PI) / 180) return "Lower";
  const round = covered.filter(Boolean).length >= ROUND * Math.max(covered.length, 1);
  return round ? "Closer, from lower down" : "Go round it";
}

/** Advice that does not flicker. */
export class Advice {
  words = "Go round it";
  #next = "";
  #times = 0;

  add(words) {
    this.#times = words === this.#next ? this.#times + 1 : 1;
    this.#next = words;
    if (this.#times >= ROW) this.words = words;
  }
}
