// What a screen reader says of the answer: not too often, and not when only the interval moves.

import { $, body } from "./dom.js";

const EVERY = 2000; // ms
const SOON = 150; // ms in which what changes together becomes one announcement

let pending = 0;
let announced = -Infinity;

export function announce() {
  if (pending) return;
  const wait = Math.max(SOON, announced + EVERY - performance.now());
  pending = setTimeout(() => {
    pending = 0;
    const words = spoken();
    const gist = (sentence) => sentence.split(",")[0];
    if (gist(words) === gist($("spoken").textContent)) return;
    $("spoken").textContent = words;
    announced = performance.now();
  }, wait);
}

/** Announce what is shown now, since the user has asked for it. */
export function announceNow() {
  clearTimeout(pending);
  pending = 0;
  announced = -Infinity;
  announce();
}

function spoken() {
  const { state, secret, black } = body.dataset;
  if (black) return $("whisper").textContent;
  if (state === "start" || state === "looking") return "";
  if (secret === "hidden" && state !== "problem") return $("sight").textContent;
  const words = $("words").innerText.replaceAll("\n", ". ");
  if (state === "none" || state === "problem") return words;
  const number = [$("about"), $("count"), $("unit")].map((part) => part.textContent).join(" ");
  return `${number.trim()}, ${words}`;
}
