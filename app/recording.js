// The count of a packet from all pictures of it: cardpose/inference/recording.py in JavaScript.

import { dot } from "./matrices.js";
import { median } from "./shared-box.js";
import { Sweep } from "./sweep.js";

export const PACKET = 0.5; // confidence from which there is a packet
const LEAST_CORNERS = 4; // visible corners of a picture that contributes
const BOX_ERROR = 0.3; // cards; errors that all pictures of a packet share
const MEDIAN_ERROR = 2.5; // cards; usual error of the median of the pictures' counts

const clip = (value, deck) => Math.min(Math.max(value, 1), deck);

/** The ends of an interval, within 1 and the deck; NaN where the network has no margin. */
function interval(cards, half, deck) {
  return { low: clip(cards - half, deck), high: clip(cards + half, deck) };
}

/** What a picture says of the box, as `Sweep.add` takes it; null if it shows too few corners. */
export function contribution({ visible, rotation, box, information, vector }) {
  if (visible.filter(Boolean).length < LEAST_CORNERS) return null;
  const place = box.slice(0, 3);
  const column = (k) => [0, 1, 2].map((i) => rotation[3 * i + k]);
  const camera = [0, 1, 2].map((k) => -dot(column(k), place));
  const rows = [0, 4, 8, 12].map((i) => information.slice(i, i + 4));
  return { information: rows, vector, camera };
}

/** The count of one picture, from its answer, with cards of `card` mm. */
export function countPicture({ cards, low, high }, metadata, card) {
  const ratio = metadata.card[2] / card;
  const [middle, from, to] = [cards, low, high].map((n) => clip(n * ratio, metadata.deck));
  return { cards: middle, low: from, high: to };
}

export class Recording {
  #metadata;
  #sweep = new Sweep();
  #cards = [];

  constructor(metadata) {
    this.#metadata = metadata;
  }

  /** Add the answer for a picture. Returns whether another packet has come, and all begins again. */
  add(answer) {
    if (answer.confidence < PACKET) return false;
    this.#cards.push(answer.cards);
    const picture = contribution(answer);
    const changed = picture !== null && this.#sweep.add(picture);
    if (changed) this.#cards = this.#cards.slice(-this.#sweep.pictures);
    return changed;
  }

  /**
   * The count with cards of `card` mm, or null without a picture of a packet.
   *
   * Returns {cards, low, high, pictures, covered, box, complete}: `pictures` is their number, `box`
   * is null where no box fits, and `complete` says that more pictures would hardly narrow the
   * interval.
   */
  count(card) {
    if (!this.#cards.length) return null;
    const { count, deck, margins, recording_margin } = this.#metadata;
    const told = { pictures: this.#cards.length, covered: this.#sweep.covered() };
    const box = count === "both" ? this.#sweep.estimate() : null;
    const middle = median(this.#cards);
    if (!box) {
      const ends = interval(middle, margins?.[count] ?? NaN, deck);
      const single = countPicture({ cards: middle, ...ends }, this.#metadata, card);
      return { ...told, ...single, box, complete: false };
    }
    const deviation = Math.sqrt(box.covariance[0][0]) / card;
    const byBox = 1 / (deviation ** 2 + BOX_ERROR ** 2);
    const byPictures = 1 / MEDIAN_ERROR ** 2;
    const total = byBox + byPictures;
    const ratio = this.#metadata.card[2] / card;
    const mean = (byBox * (box.numbers[0] / card) + byPictures * middle * ratio) / total;
    const cards = clip(mean, deck);
    const half = (recording_margin ?? NaN) / Math.sqrt(total);
    const complete = deviation < BOX_ERROR / 2;
    return { ...told, cards, ...interval(cards, half, deck), box, complete };
  }
}
