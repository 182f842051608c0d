// The page: what the buttons do, and what is shown of what the network says.

import { Counter, LIVE, STILL } from "./counter.js";
import { drawPacket } from "./drawing.js";
import { close, Frames, openCamera, openPhoto, openVideo } from "./sources.js";
import { MEMORY, PACKET, Steady } from "./steady.js";

const DECK = 52; // the scale's end; longer if the interval is
const SPOKEN_EVERY = 2000; // ms; a screen reader shall not chatter
const RATE_OVER = 2000; // ms

const $ = (id) => document.getElementById(id);
const { body } = document;
const video = $("video");
const photo = $("photo");
const counter = new Counter();

let frames = null; // of the running camera or video
let nextCamera = null; // what `openCamera` said
let steady = new Steady();
let last = null; // of the newest picture with a packet: what `count` said, and its width and height
let opened = 0; // goes up with everything opened, so that what comes late is dropped
let retry = start;
let awake = null; // keeps the screen lit

counter.ready.catch(({ message }) => problem(message, null));

// What is counted

function reset(source) {
  opened += 1;
  frames?.stop();
  frames = last = null;
  close(video, photo);
  awake?.release();
  awake = null;
  steady = new Steady(source === "video" ? Infinity : MEMORY);
  rates.length = 0;
  $("rate").hidden = true;
  $("turn").hidden = true;
  $("play").hidden = true;
  body.dataset.source = source;
  paint();
}

async function useCamera(which) {
  reset("camera");
  const mine = opened;
  look("Starting the camera …");
  try {
    const next = await openCamera(video, () => mine === opened, which);
    if (mine !== opened) return;
    video.srcObject.getVideoTracks()[0].onended = () => {
      if (mine === opened) problem("The camera has stopped.", () => useCamera(which));
    };
    nextCamera = next;
    $("turn").hidden = !nextCamera;
    keepAwake();
    await watch(mine);
  } catch (error) {
    if (mine === opened) problem(sentence(error), () => useCamera(which));
  }
}

async function useFile(file) {
  const name = file.type.startsWith("video/") ? "video" : "photo";
  reset(name);
  const mine = opened;
  look("Getting ready …");
  try {
    await counter.ready;
    if (mine === opened) await (name === "video" ? useVideo : usePhoto)(file, mine);
  } catch (error) {
    if (mine === opened) problem(sentence(error), choose);
  }
}

async function usePhoto(file, mine) {
  const picture = await openPhoto(photo, file);
  if (mine !== opened) return;
  look("Counting …");
  const { width, height } = picture;
  const answer = await counter.count(picture, STILL);
  if (mine !== opened) return;
  take(answer, width, height);
  $("rate").textContent = `counted in ${Math.round(answer.milliseconds)} ms`;
  $("rate").hidden = false;
}

async function useVideo(file, mine) {
  await openVideo(video, file);
  if (mine !== opened) return;
  $("play").hidden = false;
  await watch(mine);
}

/** Count pictures of the running video, one after the other, always the newest. */
async function watch(mine) {
  look("Getting ready …");
  await counter.ready;
  if (mine !== opened) return;
  look("Looking …");
  frames = new Frames(video);
  while (await frames.next()) {
    const { videoWidth: width, videoHeight: height } = video;
    const answer = await counter.count(await createImageBitmap(video), LIVE);
    if (mine !== opened) return;
    take(answer, width, height);
    meter();
  }
}

const rates = [];

function meter() {
  const now = performance.now();
  rates.push(now);
  while (now - rates[0] > RATE_OVER) rates.shift();
  const rate = ((rates.length - 1) / (now - rates[0])) * 1000;
  $("rate").hidden = rates.length < 3;
  $("rate").textContent = `${rate.toFixed(rate < 10 ? 1 : 0)} pictures a second`;
}

// What is shown

function take(answer, width, height) {
  const now = performance.now();
  steady.add(answer, now);
  last = answer.confidence < PACKET ? null : { ...answer, width, height };
  conclude(now);
  paint();
}

/** Say what the last second showed; once a video has ended, what all of it showed. */
function conclude(now) {
  tell(steady.summary(now, video.ended ? Infinity : MEMORY));
}

function look(words) {
  body.dataset.state = "looking";
  $("words").textContent = words;
  $("sight").textContent = words;
}

function tell({ state, cards, whole, low, high }) {
  body.dataset.state = state;
  body.dataset.cards = cards ?? "";
  if (state === "none") {
    say("No packet in sight", "Lay it flat, back up, all of it in the picture.");
    $("sight").textContent = "No packet in sight";
    return;
  }
  $("count").textContent = whole;
  $("unit").textContent = whole === 1 ? "card" : "cards";
  const known = !Number.isNaN(low);
  const [from, to] = [Math.max(1, Math.round(low)), Math.round(high)];
  const range = known ? `between ${from} and ${to}` : "";
  const advice = "Not sure yet. Come closer, hold still, show the long side.";
  say(range, state === "unsure" ? advice : "");
  $("scale").hidden = !known;
  if (known) {
    const end = Math.max(DECK, high);
    for (const [id, name, value] of [
      ["span", "left", low],
      ["span", "right", end - high],
      ["tick", "left", cards],
    ]) {
      $(id).style[name] = `${Math.min(100, Math.max(0, (100 * value) / end))}%`;
    }
  }
  $("sight").textContent = state === "sure" ? "A packet is in sight" : "Come closer, hold still";
  announce();
}

function say(first, then) {
  const lines = [first, then].filter(Boolean).map((line, place) => {
    const element = document.createElement(place || !first ? "span" : "b");
    element.textContent = line;
    return element;
  });
  $("words").replaceChildren(...lines);
  announce();
}

/** What went wrong, for the user: the browser's own words are for programmers. */
function sentence(error) {
  return error instanceof DOMException ? "That did not work. Try again." : error.message;
}

function problem(message, again) {
  reset("");
  body.dataset.state = "problem";
  say("", message);
  $("again").hidden = !again;
  retry = again;
  ($("again").hidden ? $("close") : $("again")).focus();
}

let pending = 0;
let announced = -Infinity;

/** Tell a screen reader what is shown, not too often, and not when only the interval moves. */
function announce() {
  if (pending) return;
  const wait = Math.max(150, announced + SPOKEN_EVERY - performance.now());
  pending = setTimeout(() => {
    pending = 0;
    const words = spoken();
    const gist = (sentence) => sentence.split(",")[0];
    if (gist(words) === gist($("spoken").textContent)) return;
    $("spoken").textContent = words;
    announced = performance.now();
  }, wait);
}

function spoken() {
  const { state, secret } = body.dataset;
  if (state === "start" || state === "looking") return "";
  if (secret === "hidden" && state !== "problem") return $("sight").textContent;
  const words = $("words").innerText.replaceAll("\n", ". ");
  if (state === "none" || state === "problem") return words;
  const about = state === "unsure" ? "About " : "";
  return `${about}${$("count").textContent} ${$("unit").textContent}, ${words}`;
}

/** Draw the newest packet over the picture. */
function paint() {
  const drawing = $("drawing");
  const { clientWidth, clientHeight } = drawing;
  const ratio = devicePixelRatio;
  drawing.width = Math.round(clientWidth * ratio);
  drawing.height = Math.round(clientHeight * ratio);
  if (!last || body.dataset.secret === "hidden") return;
  const context = drawing.getContext("2d");
  const scale = Math.min(drawing.width / last.width, drawing.height / last.height);
  const left = (drawing.width - last.width * scale) / 2;
  const top = (drawing.height - last.height * scale) / 2;
  context.beginPath();
  context.rect(left, top, last.width * scale, last.height * scale);
  context.clip();
  const places = last.keypoints.map(([x, y]) => [left + x * scale, top + y * scale]);
  const unit = ratio * Math.min(2.5, Math.max(1.3, (last.width * scale) / ratio / 400));
  drawPacket(context, places, last.visible, last.corners, unit);
}

// What the buttons do

function start() {
  reset("");
  body.dataset.state = "start";
  body.dataset.cards = "";
  announce();
  $("camera").focus();
}

function choose() {
  $("picker").click();
}

function secret(value) {
  body.dataset.secret = value;
  $("secret").setAttribute("aria-pressed", Boolean(value));
  paint();
  clearTimeout(pending);
  pending = 0;
  announced = -Infinity;
  announce();
}

$("camera").onclick = () => useCamera();
$("turn").onclick = () => useCamera(nextCamera);
$("file").onclick = $("other").onclick = choose;
$("close").onclick = start;
$("again").onclick = () => retry();
$("secret").onclick = () => secret(body.dataset.secret ? "" : "hidden");
$("reveal").onclick = () => {
  secret("shown");
  $("hide").focus();
};
$("hide").onclick = () => {
  secret("hidden");
  $("reveal").focus();
};
$("stage").onclick = () => {
  if (body.dataset.secret === "hidden") $("reveal").click();
};
$("play").onclick = () => (video.paused ? video.play() : video.pause());
$("picker").onchange = ({ target }) => {
  if (target.files.length) useFile(target.files[0]);
  target.value = "";
};
video.onended = () => conclude(performance.now());
video.onplay = video.onpause = () => {
  body.dataset.paused = video.paused;
  $("play").querySelector("span").textContent = video.paused ? "Play" : "Pause";
};
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) useFile(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) useFile(event.clipboardData.files[0]);
});
new ResizeObserver(paint).observe($("drawing"));

/** A phone that films shall not go dark. */
async function keepAwake() {
  if (body.dataset.source !== "camera" || document.visibilityState !== "visible") return;
  try {
    if (awake && !awake.released) return;
    const mine = opened;
    const lock = await navigator.wakeLock?.request("screen");
    if (mine === opened) awake = lock;
    else lock?.release();
  } catch {
    // Low battery, or not allowed: then it goes dark.
  }
}
document.addEventListener("visibilitychange", keepAwake);

// Without a network, and a new version

async function keepOffline() {
  const registration = await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
  const offer = () => {
    if (!registration.waiting || !navigator.serviceWorker.controller) return;
    // Nothing runs yet: nobody will notice.
    if (body.dataset.state === "start") registration.waiting.postMessage("now");
    else $("update").hidden = false;
  };
  let asked = false;
  $("renew").onclick = () => {
    asked = true;
    registration.waiting.postMessage("now");
  };
  registration.onupdatefound = () => {
    registration.installing.onstatechange = offer;
  };
  offer();
  navigator.serviceWorker.oncontrollerchange = () => {
    if (asked || body.dataset.state === "start") location.reload();
  };
}
if ("serviceWorker" in navigator) {
  keepOffline().catch((error) => console.warn(`Not kept for use offline: ${error.message}`));
}
