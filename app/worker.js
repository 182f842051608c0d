// Runs the network, away from the page: a picture comes in, what the network says of it goes out.

import * as ort from "./ort/ort.wasm.min.mjs";
import { rgb } from "./pixels.js";

const MODEL = "cardpose.onnx";
const ANSWERS = ["keypoints", "visibility", "cards", "low", "high", "confidence", "corners"];

ort.env.logLevel = "error";
ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
// Threads need shared memory, which browsers give only to a page isolated from other origins; and
// free cores: on two, which the page needs as well, a second thread made counting slower.
const roomy = self.crossOriginIsolated && navigator.hardwareConcurrency >= 4;
ort.env.wasm.numThreads = roomy ? 2 : 1;

const session = load();
session.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: error.message }),
);

async function load() {
  const response = await fetch(new URL(MODEL, import.meta.url));
  if (!response.ok) {
    throw new Error(
      `The network is missing: there is no ${MODEL} beside this page. ` +
        "“cardpose app --build” puts it there.",
    );
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  try {
    return await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  } catch (error) {
    console.warn(error);
    throw new Error(`${MODEL} is no network that this page can run. Export it again.`);
  }
}

onmessage = async ({ data: { picture, pixels, width, height } }) => {
  try {
    const began = performance.now();
    pixels ??= rgb(picture, width, height);
    picture?.close();
    const input = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
    const outputs = await (await session).run({ pictures: input }, ANSWERS);
    const numbers = (name) => Array.from(outputs[name].data, Number);
    const answer = Object.fromEntries(ANSWERS.map((name) => [name, numbers(name)]));
    for (const name of ["cards", "low", "high", "confidence"]) [answer[name]] = answer[name];
    postMessage({ answer, milliseconds: performance.now() - began });
  } catch (error) {
    console.warn(error);
    postMessage({ failed: "This picture could not be counted. Try a smaller one." });
  }
};
