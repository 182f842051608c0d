// Where pictures come from: the camera, a photo, a video. What fails, fails with a sentence for the
// user.

// Enough for a card's edge; more would only cost time.
const SIZE = { width: { ideal: 1280 }, height: { ideal: 960 } };
const STEP = 1 / 30; // s between pictures of a video file

const CAMERA_PROBLEMS = {
  NotAllowedError:
    "The camera is blocked. Allow it in the browser’s settings for this page, then try again. " +
    "A photo or a video works without it.",
  NotFoundError: "No camera was found. Choose a photo or a video instead.",
  NotReadableError: "Another program is using the camera. Close it, then try again.",
};

/**
 * Show a camera in `video`: the one that looks away from the user first, else the one named.
 *
 * Returns the way to turn to the next camera: what to pass as `which`, or null if this is the only
 * one. If `signal` has aborted by the time it starts, it stops at once.
 */
export async function openCamera(video, signal, which = { facingMode: "environment" }) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error(
      "The browser gives a camera only to pages that came over https, or from this machine. " +
        "A photo or a video works here, too.",
    );
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { ...which, ...SIZE } });
  } catch (error) {
    throw new Error(
      CAMERA_PROBLEMS[error.name] ?? `The camera did not start (${error.name}). Try again.`,
    );
  }
  if (signal.aborted) {
    stop(stream);
    return null;
  }
  video.srcObject = stream;
  await video.play();
  const now = stream.getVideoTracks()[0].getSettings();
  const all = await navigator.mediaDevices.enumerateDevices();
  const cameras = all.filter((device) => device.kind === "videoinput");
  if (cameras.length < 2) return null;
  if (now.facingMode === "environment") return { facingMode: "user" };
  if (now.facingMode === "user") return { facingMode: "environment" };
  const place = cameras.findIndex((camera) => camera.deviceId === now.deviceId);
  return { deviceId: { exact: cameras[(place + 1) % cameras.length].deviceId } };
}

/** Show a picture file in `image`. Returns it as an ImageBitmap, upright. */
export async function openPhoto(image, file) {
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return await createImageBitmap(image);
  } catch {
    throw unreadable(file);
  }
}

/** Open a video file in `video`, without playing it. */
export async function openVideo(video, file, signal) {
  const happens = (event, act) => afterwards(video, event, signal, act);
  try {
    await happens("loadeddata", () => (video.src = URL.createObjectURL(file)));
    // What a browser has recorded says how long it is only once its end has been looked for.
    const far = 1e9; // s
    if (video.duration === Infinity) await happens("seeked", () => (video.currentTime = far));
  } catch {
    throw unreadable(file);
  }
  if (!signal.aborted && !video.videoWidth) throw unreadable(file); // only sound
}

function unreadable(file) {
  const name = file.name || "this file";
  if (file.type.startsWith("video/")) {
    return new Error(
      `This browser cannot play ${name}. ` +
        "H.264 in an MP4 file works in every browser; phones call it “most compatible”.",
    );
  }
  return new Error(
    `This browser cannot read ${name}. Try JPEG, PNG, WebP, MP4 or WebM.`,
  );
}

/** Resolves once `act` has brought an event about, or `signal` aborts; rejects on an error. */
function afterwards(video, event, signal, act) {
  const settled = new AbortController();
  const done = { signal: settled.signal };
  return new Promise((resolve, reject) => {
    video.addEventListener(event, resolve, done);
    video.addEventListener("error", () => reject(video.error), done);
    signal.addEventListener("abort", resolve, done);
    act();
  }).finally(() => settled.abort());
}

/** Let go of the camera and the files in `video` and `image`. */
export function close(video, image) {
  video.pause();
  if (video.srcObject) stop(video.srcObject);
  video.srcObject = null;
  for (const element of [video, image]) {
    if (element.src) URL.revokeObjectURL(element.src);
    element.removeAttribute("src");
  }
  video.load();
}

function stop(stream) {
  stream.getTracks().forEach((track) => track.stop());
}

/** The pictures of a running camera, always the newest, until `signal` aborts. */
export async function* newestPictures(video, signal) {
  let stop;
  signal.addEventListener("abort", () => stop?.());
  while (!signal.aborted) {
    await new Promise((resolve) => {
      stop = resolve;
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
      else requestAnimationFrame(resolve);
    });
    if (!signal.aborted) yield await createImageBitmap(video);
  }
}

/**
 * Yield the pictures of a video file, one per `stride` / 30 s at most, until `signal` aborts.
 *
 * Seeks from one to the next: played, a video drops what it has no time to show.
 */
export async function* allPictures(video, signal, stride = 1) {
  for (let i = 0; (i + 0.5) * STEP < video.duration || i === 0; i += stride) {
    const time = Math.min((i + 0.5) * STEP, video.duration);
    await afterwards(video, "seeked", signal, () => (video.currentTime = time));
    if (signal.aborted) return;
    yield await createImageBitmap(video);
  }
}
