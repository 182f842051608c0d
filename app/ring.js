// The ring round the number: from which sides the packet has been seen.

const CIRCLE = { cx: 60, cy: 60, r: 56 };
const FILLED = 0.82; // of a sector; the rest is a gap

/** Draw the ring into an SVG element, from one boolean for each sector of the circle. */
export function drawRing(svg, covered) {
  while (svg.childElementCount < covered.length) svg.append(sector(svg.childElementCount, covered));
  covered.forEach((seen, i) => svg.children[i].classList.toggle("seen", seen));
}

function sector(place, { length }) {
  const arc = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  const dash = { "stroke-dasharray": `${FILLED} ${length - FILLED}`, "stroke-dashoffset": -place };
  for (const [name, value] of Object.entries({ ...CIRCLE, pathLength: length, ...dash })) {
    arc.setAttribute(name, value);
  }
  return arc;
}
