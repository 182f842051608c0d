// State of the packet in sight: its count so far, and whether the count is sure enough to lock.

import { PACKET, Recording } from "./recording.js";

const GONE = 1500; // ms without a packet until what was seen before is forgotten
const STAY = 0.6; // cards: how far the count has to move before its whole number follows
const NEWS = 3000; // ms that news are told
const FIRST = 5; // pictures of a running camera before a count is told
const LOCKED = 1; // cards: an interval narrower than this settles the number

/** Follows the packet that a running camera or a video shows. */
export class Packet {
  #metadata;
  #live;
  #recording;
  #seen = -Infinity; // when there was a packet, ms
  #whole = null;
  #lock = null;
  #news = { words: "", until: -Infinity };
  changed = false; // whether another packet has come meanwhile

  /** `live`: forget a packet that has gone, and let its number lock. */
  constructor(metadata, live) {
    this.#metadata = metadata;
    this.#live = live;
    this.#begin();
  }

  #begin() {
    this.#recording = new Recording(this.#metadata);
    this.#whole = this.#lock = null;
  }

  /** Add the answer for a picture taken at `time`, in ms. */
  add(answer, time) {
    if (answer.confidence >= PACKET) this.#seen = time;
    else if (this.#live && time - this.#seen > GONE) this.#begin();
    if (this.#recording.add(answer)) {
      this.#whole = this.#lock = null;
      this.changed = true;
      this.#news = { words: "Another packet: starting again", until: time + NEWS };
    }
  }

  /**
   * The count at `time`, with cards of `card` mm.
   *
   * Returns {state: "none"}, {state: "looking"} while there are few pictures, or {state: "sure" or
   * "unsure", locked, whole, news} and what `Recording.count` returns: `whole` is the number to
   * show. A number that has locked stays until the count leaves its interval or `card` changes.
   */
  summary(time, card) {
    const now = this.#recording.count(card);
    if (!now) return { state: "none" };
    if (this.#live && now.pictures < FIRST) return { state: "looking" };
    const news = time < this.#news.until ? this.#news.words : "";
    const { low, high, card: before } = this.#lock ?? {};
    if (now.cards < low || now.cards > high || before !== card) this.#lock = null;
    if (!this.#lock) {
      const stays = this.#whole !== null && Math.abs(now.cards - this.#whole) <= STAY;
      const locks = this.#live && (now.high - now.low < LOCKED || now.complete);
      if (locks || !stays) this.#whole = Math.round(now.cards);
      if (locks) this.#lock = { cards: now.cards, low: now.low, high: now.high, card };
    }
    const locked = this.#lock !== null;
    const state = locked ? "sure" : "unsure";
    return { ...now, ...this.#lock, state, locked, whole: this.#whole, news };
  }
}
