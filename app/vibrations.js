// A number told by vibrations: long ones for its tens, then short ones for its ones.

const [LONG, SHORT, GAP, PAUSE, ZERO] = [400, 120, 180, 600, 1200]; // ms

/** The lengths in ms of the vibrations, and of the gaps between them, that tell a number. */
export function pulses(number) {
  const row = (length, times) => Array(times).fill([length, GAP]).flat().slice(0, -1);
  const tens = row(LONG, Math.floor(number / 10));
  const ones = row(SHORT, number % 10);
  if (!tens.length && !ones.length) return [ZERO];
  return tens.length && ones.length ? [...tens, PAUSE, ...ones] : [...tens, ...ones];
}
