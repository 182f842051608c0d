// Stage mode: a screen that looks switched off, and tells the count to one person alone.

import { $, body } from "./dom.js";
import { announceNow } from "./speech.js";
import { pulses } from "./vibrations.js";
import { short } from "./words.js";

const KEY = "cardpose.stage"; // in localStorage: the choices, and whether the screen is black
const SHOWN = 2500; // ms that a number is shown
const HOLD = 800; // ms to hold the screen until stage mode ends

let choices = { on: false, tell: "number", left: false };
let latest = null; // count to tell
let hiding = 0;
let holding = 0;
let held = false;
let afterwards = () => {};

/** What a count says in stage mode. `deck` is the number of cards in a whole deck. */
export function note({ whole, low, high, locked }, deck, locks) {
  if (whole === undefined) return; // the last number can still be asked for
  const number = { whole, low, high };
  const left = { whole: deck - whole, low: deck - high, high: deck - low };
  latest = { ...(choices.left ? left : number), locked };
  if (locks && body.dataset.black) reveal();
}

/** Begin stage mode, and go on in it after a reload; `after` is called at its end. */
export function goBlack(after) {
  afterwards = after;
  held = false;
  latest = null;
  body.dataset.black = "true";
  document.querySelector("main").inert = true;
  $("black").hidden = false;
  $("black").focus();
  document.documentElement.requestFullscreen?.().catch(() => {}); // not without a tap
  keep({ on: true });
}

function goBack() {
  hide();
  delete body.dataset.black;
  document.querySelector("main").inert = false;
  $("black").hidden = true;
  if (document.fullscreenElement) document.exitFullscreen();
  keep({ on: false });
  afterwards();
}

function reveal() {
  if (choices.tell === "pulses" && latest) navigator.vibrate(pulses(latest.whole));
  else $("whisper").textContent = latest ? short(latest, latest.locked) : "–";
  announceNow();
  clearTimeout(hiding);
  hiding = setTimeout(hide, SHOWN);
}

function hide() {
  $("whisper").textContent = "";
}

function keep(changes) {
  choices = { ...choices, ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(choices));
  } catch {
    // Not allowed: then a reload ends it.
  }
}

/** Read the choices of last time. Returns whether the screen was black. */
export function recallChoices() {
  try {
    choices = { ...choices, ...JSON.parse(localStorage.getItem(KEY)) };
  } catch {
    // Not allowed, or not ours.
  }
  const canVibrate = typeof navigator.vibrate === "function";
  if (!canVibrate) choices.tell = "number";
  $("pulses").hidden = !canVibrate;
  const { tell, left } = $("stage-choices").querySelector("form").elements;
  tell.value = choices.tell;
  left.checked = choices.left;
  return choices.on;
}

/** Ask how to tell the number; `begin` is called if the user goes on. */
export function askChoices(begin) {
  const dialog = $("stage-choices");
  const { elements } = dialog.querySelector("form");
  dialog.returnValue = "";
  dialog.onclose = () => {
    keep({ tell: elements.tell.value, left: elements.left.checked });
    if (dialog.returnValue === "begin") begin();
  };
  dialog.showModal();
}

$("black").onpointerdown = () => {
  held = false;
  holding = setTimeout(() => {
    held = true;
    goBack();
  }, HOLD);
};
$("black").onpointerup = $("black").onpointercancel = () => clearTimeout(holding);
$("black").onclick = () => held || reveal();
$("black").oncontextmenu = (event) => event.preventDefault();
$("black").onkeydown = ({ key }) => key === "Escape" && goBack();
