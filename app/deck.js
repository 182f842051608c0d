// The thickness of the user's own cards, fitted to packets of known count and kept on the device.

const KEY = "cardpose.deck"; // in localStorage: [{thickness, deviation, count}, ...]
const CARD_SPREAD = 0.03; // relative standard deviation of the thickness of decks' cards
const MODEL_ERROR = 0.1; // mm, error of a packet's thickness beside that of the fit

/**
 * The thickness of a card in mm, from packets of known count: weighted least squares with a prior.
 * cardpose/geometry/card_fit.py does the same.
 *
 * `packets` have a `thickness` and its `deviation` in mm, and a `count`; `card` is the usual
 * thickness in mm.
 */
export function fitCard(packets, card) {
  let precision = 1 / (CARD_SPREAD * card) ** 2;
  let sum = card * precision;
  for (const { thickness, deviation, count } of packets) {
    const weight = 1 / (deviation ** 2 + MODEL_ERROR ** 2);
    precision += weight * count ** 2;
    sum += weight * count * thickness;
  }
  return sum / precision;
}

/** The packets that the user has counted, newest last. */
export function countedPackets() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return []; // not allowed, or not ours
  }
}

export function keepPacket(packet) {
  localStorage.setItem(KEY, JSON.stringify([...countedPackets(), packet]));
}

export function forgetPackets() {
  localStorage.removeItem(KEY);
}
