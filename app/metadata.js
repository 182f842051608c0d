// The metadata that cardpose stores in a network's file. ONNX Runtime for the web does not show it.

const ENTRIES = 14; // field of ONNX's ModelProto: pairs of a key (field 1) and a value (field 2)
const FIXED = { 1: 8, 5: 4 }; // bytes of values with a fixed size, by their wire type

/**
 * The metadata of a network.
 *
 * Args: `bytes` of an ONNX file. Throws an error where it has no entry "cardpose" with JSON.
 */
export function readMetadata(bytes) {
  const text = new TextDecoder();
  for (const [field, entry] of fields(bytes)) {
    if (field !== ENTRIES) continue;
    const [[, key], [, value]] = fields(entry);
    if (text.decode(key) === "cardpose") {
      return JSON.parse(text.decode(value).replace(/\b(NaN|-?Infinity)\b/g, "null"));
    }
  }
  throw new Error("no metadata");
}

/** A sentence on how well a network counts, and on what that was measured. */
export function describeNetwork({ metrics, dataset }) {
  const { mae, mae_per_video } = metrics?.cards ?? {};
  if (!Number.isFinite(mae) || !Number.isFinite(mae_per_video)) {
    return "The accuracy of this network has not been measured.";
  }
  const kind = dataset === "synthetic" ? "rendered packets" : "packets";
  const number = metrics.data?.recordings ?? "";
  return (
    `Mean error of this network: ${mae.toFixed(1)} cards in a photo, ` +
    `${mae_per_video.toFixed(1)} in a video, measured on ${number} ${kind} that it had never seen.`
  ).replace("  ", " ");
}

/** Each [number, bytes] of the fields of a protobuf message that hold bytes. */
function* fields(bytes) {
  let at = 0;
  const number = () => {
    let [value, place] = [0, 1];
    for (; bytes[at] > 127; place *= 128) value += (bytes[at++] - 128) * place;
    return value + bytes[at++] * place;
  };
  while (at < bytes.length) {
    const tag = number();
    const kind = tag % 8;
    if (kind === 0) number();
    else {
      const length = FIXED[kind] ?? number();
      if (kind === 2) yield [(tag - kind) / 8, bytes.subarray(at, at + length)];
      at += length;
    }
  }
}
