// The page without a network, and new versions of it.

import { $, body } from "./dom.js";

export async function keepOffline() {
  if (!("serviceWorker" in navigator)) return;
  const registration = await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
  const offer = () => {
    if (!registration.waiting || !navigator.serviceWorker.controller) return;
    // Nothing runs yet, so a reload goes unnoticed.
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
