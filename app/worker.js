// Runs the network, away from the page: a picture comes in, what the network says of it goes out.

import * as ort from "./ort/ort.wasm.min.mjs";
import { readMetadata } from "./metadata.js";
import { rgb } from "./pixels.js";

const MODEL = "cardpose.onnx";
const INPUTS = ["pictures", "boxes"];
const NUMBERS = ["cards", "low", "high", "confidence"];
const POSE = ["rotation", "box", "corners", "information", "vector"];
const ANSWERS = ["keypoints", "visibility", ...NUMBERS, ...POSE];

ort.env.logLevel = "error";
ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
// Threads need shared memory, which browsers give only to a page isolated from other origins; and
// free cores: on two, which the page needs as well, a second thread made counting slower.
const roomy = self.crossOriginIsolated && navigator.hardwareConcurrency >= 4;
ort.env.wasm.numThreads = roomy ? 2 : 1;

const session = load();
session.then(
  ({ metadata }) => postMessage({ metadata }),
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
    const metadata = readMetadata(bytes);
    // Optimizing the graph takes twice as long as the rest of loading, and saves a tenth of a run.
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "disabled" };
    const network = await ort.InferenceSession.create(bytes, options);
    const names = [...network.inputNames, ...network.outputNames];
    if ([...INPUTS, ...ANSWERS].some((name) => !names.includes(name))) throw new Error("names");
    return { network, metadata };
  } catch (error) {
    console.warn(error);
    throw new Error(`${MODEL} is no network that this page can run. Export it again.`);
  }
}

onmessage = async ({ data: { picture, pixels, width, height, box } }) => {
  try {
    const began = performance.now();
    pixels ??= rgb(picture, width, height);
    const inputs = {
      pictures: new ort.Tensor("uint8", pixels, [1, height, width, 3]),
      boxes: new ort.Tensor("float32", box ?? Array(4).fill(NaN), [1, 4]),
    };
    const outputs = await (await session).network.run(inputs, ANSWERS);
    const numbers = (name) => Array.from(outputs[name].data, Number);
    const answer = Object.fromEntries(ANSWERS.map((name) => [name, numbers(name)]));
    for (const name of NUMBERS) [answer[name]] = answer[name];
    const milliseconds = performance.now() - began;
    postMessage({ answer, milliseconds, picture }, picture ? [picture] : []);
  } catch (error) {
    console.warn(error);
    postMessage({ failed: "This picture could not be counted. Try a smaller one." });
  }
};
