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
 * one.
 */
export async function openCamera(video, which = { facingMode: "environment" }) {
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

/** A picture file as an ImageBitmap, upright; null if the browser can make no picture of it. */
export async function openPhoto(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    return null;
  }
}

/** Play a video file in `video`. */
export async function openVideo(video, file) {
  video.src = URL.createObjectURL(file);
  try {
    await video.play();
  } catch {
    throw new Error(
      `${file.name || "This"} is no picture or video that this browser can read. ` +
        "Try JPEG, PNG, WebP, MP4 or WebM.",
    );
  }
}

/** Let go of the camera or the file in `video`. */
export function close(video) {
  video.pause();
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.load();
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
