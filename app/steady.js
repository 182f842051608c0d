// What the pictures of the last second say together.

export const MEMORY = 1000; // ms that a picture counts for
const GONE = 400; // ms without a packet until what was seen before is forgotten
export const PACKET = 0.5; // confidence from which there is a packet
const WIDE = 20; // cards: an interval wider than this is no answer
const APART = 5; // cards: pictures that differ by more do not agree
const FEW = 5; // corners: a packet that shows fewer is cut off, or is none
const STAY = 0.6; // cards: how far the count has to move before its whole number follows

/** The middle of `values` when each has its weight; NaN if one is NaN. */
export function weightedMedian(values, weights) {
  if (values.some(Number.isNaN)) return NaN;
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const half = weights.reduce((sum, weight) => sum + weight, 0) / 2;
  let passed = 0;
  for (const [place, i] of order.entries()) {
    passed += weights[i];
    if (passed > half) return values[i];
    if (passed === half) return (values[i] + values[order[place + 1] ?? i]) / 2;
  }
  return NaN;
}

// How far the counts of the last second lie apart, but for a tenth of them at either end.
function spread(answers, time) {
  const latest = answers.filter((answer) => time - answer.time <= MEMORY);
  const counts = latest.map((answer) => answer.cards).sort((a, b) => a - b);
  const tenth = Math.floor(counts.length / 10);
  return counts.at(-1 - tenth) - counts[tenth];
}

export class Steady {
  #seen = [];
  #shown = null;
  #kept;

  /** `kept`: for how long pictures are remembered, ms. */
  constructor(kept = MEMORY) {
    this.#kept = kept;
  }

  /** Remember what a picture said, at `time` in ms. */
  add(answer, time) {
    const { cards, low, high, confidence } = answer;
    const corners = answer.visible.filter(Boolean).length;
    this.#seen = this.#seen.filter((before) => time - before.time <= this.#kept);
    if (confidence >= PACKET) {
      this.#seen.push({ cards, low, high, confidence, corners, time });
    } else if (time - (this.#seen.at(-1)?.time ?? -Infinity) > GONE) {
      this.#seen = [];
      this.#shown = null;
    }
  }

  /**
   * The steadied count at `time`, from the last `memory` ms.
   *
   * Returns {state: "none"}, or {state: "sure" or "unsure", cards, whole, low, high}: `cards` not
   * rounded, `whole` the number to show, `low` and `high` NaN where there is no interval.
   */
  summary(time, memory = MEMORY) {
    const recent = this.#seen.filter((answer) => time - answer.time <= memory);
    if (!recent.length) {
      this.#shown = null;
      return { state: "none" };
    }
    const weights = recent.map((answer) => answer.confidence);
    const middle = (name) => weightedMedian(recent.map((answer) => answer[name]), weights);
    const [cards, low, high, corners] = ["cards", "low", "high", "corners"].map(middle);
    if (this.#shown === null || Math.abs(cards - this.#shown) > STAY) {
      this.#shown = Math.max(1, Math.round(cards)); // a packet has a card
    }
    const unsure = high - low > WIDE || spread(recent, time) > APART || corners < FEW;
    return { state: unsure ? "unsure" : "sure", cards, whole: this.#shown, low, high };
  }
}
