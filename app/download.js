// Downloads the two large files of the page. They are compressed more tightly than web servers do.

import { Decompress } from "./zstd/index.mjs";

/** The content of a .zst file. It is decompressed while it arrives. */
export async function downloadZstd(url) {
  const parts = [];
  const decompress = new Decompress((part) => parts.push(part));
  for await (const part of download(url)) decompress.push(part);
  decompress.push(new Uint8Array(), true);
  return bytes(new Blob(parts));
}

/** A file, as it is. */
export async function downloadBlob(url) {
  const parts = [];
  for await (const part of download(url)) parts.push(part);
  return new Blob(parts);
}

/** The content of a .gz file. Some web servers have made the browser decompress it already. */
export async function gunzip(blob) {
  const start = await bytes(blob.slice(0, 2));
  if (start[0] !== 0x1f || start[1] !== 0x8b) return bytes(blob);
  return bytes(new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))));
}

/** The parts of a file, as they arrive. Throws an error with a sentence for the user. */
async function* download(url) {
  const name = url.pathname.split("/").at(-1);
  const broken = () => {
    throw new Error(`The download of ${name} broke off. Load this page again.`);
  };
  const response = await fetch(url).catch(broken);
  if (!response.ok) {
    throw new Error(`There is no ${name} beside this page. “cardpose app --build” puts it there.`);
  }
  const reader = response.body.getReader();
  for (;;) {
    const { value, done } = await reader.read().catch(broken);
    if (done) return;
    yield value;
  }
}

async function bytes(source) {
  return new Uint8Array(await source.arrayBuffer());
}
