// The network, as the page sees it: one picture at a time goes to the worker, one answer comes back.

import { fitted, rgb } from "./pixels.js";

// Longer sides are made shorter first, in pixels. The network looks at twice 320 x 240 at the most:
// of the camera it gets just that, since time matters; of a photo more, and averages with care.
export const LIVE = 640;
export const STILL = 1920;

class Counter {
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  #waiting;
  #done;

  constructor() {
    /**
     * Resolves to the network's metadata once it can count; rejects with a sentence for the user if
     * it never will.
     */
    this.ready = new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#worker.onmessage = ({ data }) => {
        const { resolve, reject } = this.#waiting;
        if (data.failed) reject(new Error(data.failed));
        else resolve(data.metadata ?? data);
      };
      this.#worker.onerror = () => {
        const sentence = "This browser cannot run the network. A newer one can.";
        this.#waiting.reject(new Error(sentence));
      };
    });
    this.#done = this.ready.catch(() => {});
  }

  /** Resolves once the network is there and all pictures so far are counted. */
  get idle() {
    return this.#done;
  }

  /**
   * Count the cards in an ImageBitmap, at `longest` pixels a side at the most. It is moved: use
   * `picture` of the answer from then on, and close it. `box` is that of a first count of the
   * packet, if there is one: its numbers tell the network where the edges are.
   *
   * Returns {picture, keypoints: [[x, y], ...] in the picture's pixels, visible: [bool, ...],
   * corners: for each corner of the box that was fitted which of the keypoints it is, cards, low,
   * high, confidence, milliseconds, width, height} and, as rows of numbers, the network's rotation,
   * box, information and vector; low and high are NaN where the network has no interval.
   */
  async count(picture, longest, box) {
    const size = { width: picture.width, height: picture.height };
    const [width, height] = fitted(size.width, size.height, longest);
    const scale = size.width / width;
    const counted = this.#done.then(() => this.#ask(picture, width, height, box?.numbers));
    this.#done = counted.catch(() => {});
    const { answer, milliseconds, picture: back = picture } = await counted;
    const keypoints = answer.visibility.map((_, i) =>
      answer.keypoints.slice(2 * i, 2 * i + 2).map((place) => place * scale),
    );
    const visible = answer.visibility.map((probability) => probability > 0.5);
    return { ...answer, ...size, keypoints, visible, milliseconds, picture: back };
  }

  #ask(picture, width, height, box) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (typeof OffscreenCanvas === "undefined") {
        const pixels = rgb(picture, width, height);
        this.#worker.postMessage({ pixels, width, height, box }, [pixels.buffer]);
      } else {
        this.#worker.postMessage({ picture, width, height, box }, [picture]);
      }
    });
  }
}

/** Made while the page's other scripts still load, so that the network arrives sooner. */
export const counter = new Counter();
