// Where pictures come from: the camera, a photo, a video. What fails, fails with a sentence for the
// user.

// Enough for a card's edge; more would only cost time.
const SIZE = { width: { ideal: 1280 }, height: { ideal: 960 } };

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
 * one. `wanted` says whether the camera is still wanted when it has started.
 */
export async function openCamera(video, wanted, which = { facingMode: "environment" }) {
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
  if (!wanted()) {
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

/** Play a video file in `video`. */
export async function openVideo(video, file) {
  video.src = URL.createObjectURL(file);
  try {
    await video.play();
  } catch {
    throw unreadable(file);
  }
}

function unreadable(file) {
  const name = file.name || "This";
  return new Error(
    `${name} is no picture or video that this browser can read. Try JPEG, PNG, WebP, MP4 or WebM.`,
  );
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

/** Waits for pictures of a video: each wait ends with one that has not been waited for. */
export class Frames {
  #fresh = false;
  #arrived = () => {};
  #stopped = false;

  constructor(video) {
    const next = (call) =>
      video.requestVideoFrameCallback
        ? video.requestVideoFrameCallback(call)
        : requestAnimationFrame(call);
    const arrive = () => {
      if (this.#stopped) return;
      this.#fresh = true;
      this.#arrived();
      next(arrive);
    };
    next(arrive);
  }

  /** Resolves to whether there is a new picture; false once stopped. */
  async next() {
    if (!this.#fresh && !this.#stopped) {
      await new Promise((resolve) => (this.#arrived = resolve));
    }
    this.#fresh = false;
    return !this.#stopped;
  }

  stop() {
    this.#stopped = true;
    this.#arrived();
  }
}
