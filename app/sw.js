// Keeps the page's files, so that it works without a network. VERSION and FILES stand above: they
// are written by cardpose/cli/site.py, and a file that changes changes VERSION.

const PREFIX = `cardpose ${registration.scope} `; // other pages of the same host have caches, too
const CACHE = PREFIX + VERSION;
const HOME = new URL(registration.scope);

// Shared memory, and with it threads, needs these headers. Many hosts cannot be told to send them.
async function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(await response.blob(), { headers });
}

async function keep() {
  const cache = await caches.open(CACHE);
  await Promise.all(
    FILES.map(async (file) => {
      const response = await fetch(file, { cache: "no-cache" });
      if (!response.ok) throw new Error(`${file}: ${response.status}`);
      await cache.put(file, await isolated(response));
    }),
  );
}

async function forget() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const { pathname } = new URL(request.url); // a bookmark may say index.html
  const wanted = pathname === HOME.pathname + "index.html" ? HOME : request;
  return (await cache.match(wanted, { ignoreSearch: true })) ?? fetch(request);
}

addEventListener("install", (event) => event.waitUntil(keep()));
addEventListener("activate", (event) => event.waitUntil(forget()));
addEventListener("message", () => skipWaiting());
addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && new URL(url).origin === location.origin) {
    event.respondWith(answer(event.request));
  }
});
