// What is shown of the count: the number, its interval, the ring, and words.

import { $, body } from "./dom.js";
import { drawRing } from "./ring.js";
import { announce } from "./speech.js";
import { between, hedge } from "./words.js";

const DECK = 52; // the scale's end; longer if the interval is

/** Show what the page waits for. */
export function look(words) {
  body.dataset.state = "looking";
  $("words").textContent = words;
  $("sight").textContent = words;
}

/**
 * Show a count: {state, locked, cards, whole, low, high, covered}, as `Packet.summary` returns it.
 *
 * `first` and `then` are lines to show below it, beside the interval; empty ones are left out.
 */
export function tell(count, first = "", then = "") {
  const { state, locked, cards, whole, low, high, covered } = count;
  if (state === "looking") return look("Looking …");
  body.dataset.state = state;
  body.dataset.cards = cards ?? "";
  if (state === "none") {
    say("No packet in sight", "Lay it face down, all of it in the picture.");
    $("sight").textContent = "No packet in sight";
    return;
  }
  $("about").textContent = hedge(count, locked);
  $("count").textContent = whole;
  $("unit").textContent = whole === 1 ? "card" : "cards";
  if (covered) drawRing($("ring"), covered);
  const known = !Number.isNaN(low);
  say(first, between(count), then);
  $("scale").hidden = !known;
  if (known) drawScale(cards, low, high);
  $("sight").textContent = state === "sure" ? "The count is ready" : first || "Come closer";
  announce();
}

function drawScale(cards, low, high) {
  const end = Math.max(DECK, high);
  for (const [id, name, value] of [
    ["span", "left", low],
    ["span", "right", end - high],
    ["tick", "left", cards],
  ]) {
    $(id).style[name] = `${Math.min(100, Math.max(0, (100 * value) / end))}%`;
  }
}

/** Show lines of words, the first of them strongly. */
export function say(first, ...more) {
  const lines = [first, ...more].map((line, place) => {
    const element = document.createElement(place ? "span" : "b");
    element.textContent = line;
    return element;
  });
  $("words").replaceChildren(...lines.filter((line) => line.textContent));
  announce();
}
