// The page: what the buttons do, and the way of pictures from their source to the answer.

import { advise, Advice } from "./advice.js";
import { look, say, tell } from "./answer.js";
import { askChoices, goBlack, note, recallChoices } from "./black.js";
import { counter, LIVE, STILL } from "./counter.js";
import { countedPackets, fitCard } from "./deck.js";
import { askDeck } from "./deck-dialog.js";
import { $, body } from "./dom.js";
import { drawAnswer } from "./drawing.js";
import { describeNetwork } from "./metadata.js";
import { handOver } from "./handover.js";
import { keepOffline } from "./offline.js";
import { Packet } from "./packet.js";
import { contribution, countPicture, PACKET } from "./recording.js";
import { allPictures, close, newestPictures, openCamera, openPhoto, openVideo } from "./sources.js";
import { announce, announceNow } from "./speech.js";

const WIDE = 20; // cards: an interval of a photo wider than this is no answer
const FEW = 5; // corners: a photo that shows fewer is unsure
const MOST_AGAIN = 100; // pictures of a video that are counted a second time
const RATE_OVER = 2000; // ms
const LOCKED = "More views would change little.";

const video = $("video");
const photo = $("photo");

let opened = new AbortController(); // aborts once something else is opened
let nextCamera = null; // what `openCamera` said
let packet = null; // of the camera or the video
let last = null; // what `count` said of the newest picture
let counted = null; // the newest summary
let metadata = null;
let card = NaN; // mm, thickness of a card of the user's deck
let retry = start;
let awake = null; // keeps the screen lit

counter.ready.then(
  (told) => {
    metadata = told;
    $("network").textContent = describeNetwork(metadata);
    measureCard();
  },
  ({ message }) => problem(message, null),
);

function measureCard() {
  card = fitCard(countedPackets(), metadata.card[2]);
}

// What is counted

/** Let go of what is open. Returns a signal that aborts once something else is opened. */
function reset(source) {
  opened.abort();
  opened = new AbortController();
  packet = counted = null;
  show(null);
  close(video, photo);
  awake?.release();
  awake = null;
  rates.length = 0;
  for (const id of ["rate", "turn", "dark"]) $(id).hidden = true;
  body.dataset.source = source;
  return opened.signal;
}

async function useCamera(which) {
  const signal = reset("camera");
  look("Starting the camera …");
  const again = { label: "Try again", act: () => useCamera(which), instead: true };
  try {
    const next = await openCamera(video, signal, which);
    if (signal.aborted) return;
    video.srcObject.getVideoTracks()[0].onended = () => {
      if (!signal.aborted) problem("The camera has stopped.", again);
    };
    nextCamera = next;
    $("turn").hidden = !nextCamera;
    $("dark").hidden = false;
    keepAwake();
    look("Getting ready …");
    await counter.ready;
    if (signal.aborted) return;
    look("Looking …");
    packet = new Packet(metadata, true);
    const advice = new Advice();
    for await (const picture of newestPictures(video, signal)) {
      const answer = await counter.count(picture, LIVE);
      if (!take(answer, signal)) return;
      follow(answer, advice);
      meter();
    }
  } catch (error) {
    if (!signal.aborted) problem(sentence(error), again);
  }
}

async function useFile(file) {
  const isVideo = file.type.startsWith("video/");
  const signal = reset(isVideo ? "video" : "photo");
  look("Getting ready …");
  try {
    await counter.ready;
    if (!signal.aborted) await (isVideo ? useVideo : usePhoto)(file, signal);
  } catch (error) {
    if (!signal.aborted) problem(sentence(error), { label: "Choose another", act: choose });
  }
}

async function usePhoto(file, signal) {
  const picture = await openPhoto(photo, file);
  if (signal.aborted) return picture.close();
  look("Counting …");
  const answer = await counter.count(picture, STILL);
  if (!take(answer, signal)) return;
  tellPhoto(answer);
  $("rate").textContent = `counted in ${Math.round(answer.milliseconds)} ms`;
  $("rate").hidden = false;
}

async function useVideo(file, signal) {
  await openVideo(video, file, signal);
  packet = new Packet(metadata, false);
  let pictures = 0;
  for await (const picture of allPictures(video, signal)) {
    const answer = await counter.count(picture, LIVE);
    if (!take(answer, signal)) return;
    pictures += 1;
    packet.add(answer, 1000 * video.currentTime);
    counted = packet.summary(1000 * video.currentTime, card);
    tell(counted, counted.news, `${Math.round((100 * video.currentTime) / video.duration)} % seen`);
    meter();
  }
  if (!signal.aborted) await countAgain(signal, Math.ceil(pictures / MOST_AGAIN));
  if (!signal.aborted) tellVideo();
}

/** Count a video a second time, with edges traced round the box of its first count. */
async function countAgain(signal, stride) {
  const first = packet.summary(Infinity, card);
  if (packet.changed || !first.box) return;
  const second = new Packet(metadata, false);
  for await (const picture of allPictures(video, signal, stride)) {
    const answer = await counter.count(picture, LIVE, first.box);
    if (!take(answer, signal)) return;
    second.add(answer, 1000 * video.currentTime);
    tell(first, "", `${Math.round((100 * video.currentTime) / video.duration)} % seen again`);
  }
  if (!signal.aborted) packet = second;
}

/** Show the picture of an answer, unless it comes too late. Returns whether it is shown. */
function take(answer, signal) {
  if (signal.aborted) answer.picture.close();
  else show(answer);
  return !signal.aborted;
}

function show(answer) {
  last?.picture.close();
  last = answer;
  paint();
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

// What is told

/** Tell what the camera has seen of the packet up to this answer. */
function follow(answer, advice) {
  const now = performance.now();
  const before = counted?.locked;
  packet.add(answer, now);
  counted = packet.summary(now, card);
  if (answer.confidence >= PACKET) {
    advice.add(advise(answer, contribution(answer)?.camera, counted.covered));
  }
  const { locked } = counted;
  tell(counted, counted.news || (locked ? "" : advice.words), locked ? LOCKED : "");
  const locks = locked && !before;
  if (locks && !body.dataset.black) navigator.vibrate?.(60);
  note(counted, metadata.deck, locks);
}

function tellPhoto(answer) {
  if (answer.confidence < PACKET) return tell({ state: "none" });
  const count = countPicture(answer, metadata, card);
  const cut = answer.visible.filter(Boolean).length < FEW;
  const wide = count.high - count.low > WIDE;
  const state = cut || wide ? "unsure" : "sure";
  const advice = cut ? "Show all of it." : wide ? "Come closer, show the long side." : "";
  const sweep = "For a surer count, go round it with the camera.";
  tell({ ...count, state, whole: Math.round(count.cards) }, "", `${advice} ${sweep}`.trim());
}

function tellVideo() {
  counted = packet.summary(Infinity, card);
  tell(counted.state === "none" ? counted : { ...counted, state: "sure" });
}

/** What went wrong, for the user: the browser's own words are for programmers. */
function sentence(error) {
  return error instanceof DOMException ? "That did not work. Try again." : error.message;
}

/** Show a message. `again` is {label, act, instead}: a button, and whether a photo would do. */
function problem(message, again) {
  reset("");
  body.dataset.state = "problem";
  say("", message);
  $("again").hidden = !again;
  $("again").textContent = again?.label;
  $("instead").hidden = !again?.instead;
  retry = again?.act;
  (again ? $("again") : $("close")).focus();
}

function paint() {
  drawAnswer($("drawing"), last, last?.confidence >= PACKET && body.dataset.secret !== "hidden");
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
  announceNow();
}

/** Tell the same again, with cards of another thickness. */
function tellAgain() {
  measureCard();
  if (body.dataset.source === "photo" && last) tellPhoto(last);
  if (body.dataset.source === "video" && packet) tellVideo();
}

function begin() {
  goBlack(announceNow);
  if (body.dataset.source !== "camera") useCamera();
}

$("camera").onclick = () => useCamera();
$("turn").onclick = () => useCamera(nextCamera);
$("file").onclick = $("other").onclick = $("instead").onclick = choose;
$("close").onclick = start;
$("again").onclick = () => retry();
$("stage-mode").onclick = $("dark").onclick = () => askChoices(begin);
$("my-deck").onclick = $("mine").onclick = () => {
  counter.ready.then(() => askDeck(counted, metadata, tellAgain)).catch(() => {}); // told already
};
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
$("picker").onchange = ({ target }) => {
  if (target.files.length) useFile(target.files[0]);
  target.value = "";
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
    const { signal } = opened;
    const lock = await navigator.wakeLock?.request("screen");
    if (signal.aborted) lock?.release();
    else awake = lock;
  } catch {
    // Low battery, or not allowed: then it goes dark.
  }
}
document.addEventListener("visibilitychange", keepAwake);

handOver().catch((error) => console.warn(`No QR code: ${error.message}`));
// The first count comes before the next visit.
counter.ready
  .catch(() => {})
  .then(() => counter.idle)
  .then(keepOffline)
  .catch((error) => console.warn(`Not kept for use offline: ${error.message}`));
if (recallChoices()) begin();
