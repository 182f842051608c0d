// How a count and its 90 % interval are put into words.

const ends = ({ low, high }) => [Math.round(low), Math.round(high)]; // NaN without an interval

/** The word before the number: none where the interval holds one whole number. */
export function hedge(count, locked) {
  const [low, high] = ends(count);
  if (low === high) return "";
  return locked ? "most likely" : "about";
}

/** The interval, or "" where the network has none. */
export function between(count) {
  const [low, high] = ends(count);
  if (Number.isNaN(low)) return "";
  return low === high ? "nine times in ten" : `between ${low} and ${high}`;
}

/** A count in a few characters: “≈ 12” until it locks, then “12 ± 1”, or “12” where it is sure. */
export function short(count, locked) {
  const [low, high] = ends(count);
  if (!locked) return `≈ ${count.whole}`;
  const off = Math.max(high - count.whole, count.whole - low);
  return off > 0 ? `${count.whole} ± ${off}` : `${count.whole}`;
}
