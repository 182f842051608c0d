// Runs the network, away from the page: a picture comes in, what the network says of it goes out.

import * as ort from "./ort/ort.wasm.min.mjs";
import { downloadBlob, downloadZstd, gunzip } from "./download.js";
import { readMetadata } from "./metadata.js";
import { rgb } from "./pixels.js";

const RUNTIME = new URL("ort/ort-wasm-simd-threaded.wasm.zst", import.meta.url);
const NETWORK = new URL("cardpose.onnx.gz", import.meta.url);
const INPUTS = ["pictures", "boxes"];
const NUMBERS = ["cards", "low", "high", "confidence"];
const POSE = ["rotation", "box", "corners", "information", "vector"];
const ANSWERS = ["keypoints", "visibility", ...NUMBERS, ...POSE];
// Optimizing the graph takes twice as long as the rest of loading, and saves a tenth of a run.
const OPTIONS = { executionProviders: ["wasm"], graphOptimizationLevel: "disabled" };

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
  ort.env.wasm.wasmBinary = await downloadZstd(RUNTIME);
  // A session of nothing fails, but compiles the runtime first, while the network arrives.
  const compiled = ort.InferenceSession.create(new Uint8Array(1), OPTIONS).catch(() => {});
  const [file] = await Promise.all([downloadBlob(NETWORK), compiled]);
  try {
    const bytes = await gunzip(file);
    const metadata = readMetadata(bytes);
    const network = await ort.InferenceSession.create(bytes, OPTIONS);
    const names = [...network.inputNames, ...network.outputNames];
    if ([...INPUTS, ...ANSWERS].some((name) => !names.includes(name))) throw new Error("names");
    return { network, metadata };
  } catch (error) {
    console.warn(error);
    throw new Error("cardpose.onnx.gz is no network that this page can run. Export it again.");
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
