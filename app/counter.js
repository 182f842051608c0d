// The network, as the page sees it: one picture at a time goes to the worker, one answer comes back.

import { fitted, rgb } from "./pixels.js";

const LONGEST = 1920; // pixels; larger pictures are made smaller: they cost time and say no more

export class Counter {
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  #waiting;

  constructor() {
    /** Resolves once the network can count; rejects with a sentence for the user if it never will. */
    this.ready = new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#worker.onmessage = ({ data }) => {
        const { resolve, reject } = this.#waiting;
        if (data.failed) reject(new Error(data.failed));
        else resolve(data);
      };
      this.#worker.onerror = () => {
        const sentence = "This browser cannot run the network. A newer one can.";
        this.#waiting.reject(new Error(sentence));
      };
    });
  }

  /**
   * Count the cards in an ImageBitmap, which is used up.
   *
   * Returns {keypoints: [[x, y], ...] in the picture's pixels, visible: [bool, ...], cards, low,
   * high, confidence, milliseconds}; low and high are NaN where the network has no interval.
   */
  async count(picture) {
    await this.ready;
    const [width, height] = fitted(picture.width, picture.height, LONGEST);
    const scale = picture.width / width;
    const { answer, milliseconds } = await new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (typeof OffscreenCanvas === "undefined") {
        const pixels = rgb(picture, width, height);
        picture.close();
        this.#worker.postMessage({ pixels, width, height }, [pixels.buffer]);
      } else {
        this.#worker.postMessage({ picture, width, height }, [picture]);
      }
    });
    const keypoints = answer.visibility.map((_, i) =>
      answer.keypoints.slice(2 * i, 2 * i + 2).map((place) => place * scale),
    );
    const visible = answer.visibility.map((probability) => probability > 0.5);
    const { cards, low, high, confidence } = answer;
    return { keypoints, visible, cards, low, high, confidence, milliseconds };
  }
}
