// Hand the page over to a phone: a QR code of its own address.

import { $ } from "./dom.js";

const QUIET = 4; // modules of margin that readers need
const WIDE = "(min-width: 60rem) and (min-height: 35rem) and (hover: hover)";

/** Show the code of an https address, where phones get a camera, on a screen with room for it. */
export async function handOver(address = location.href) {
  const { protocol } = new URL(address);
  if (protocol !== "https:" || !matchMedia(WIDE).matches) return;
  const { default: qrcode } = await import("./qr/qrcode.mjs");
  const code = qrcode(0, "M");
  code.addData(address);
  code.make();
  const size = code.getModuleCount();
  const places = [...Array(size).keys()];
  const dark = places.flatMap((y) => places.filter((x) => code.isDark(y, x)).map((x) => [x, y]));
  const whole = size + 2 * QUIET;
  $("code").setAttribute("viewBox", `${-QUIET} ${-QUIET} ${whole} ${whole}`);
  $("dots").setAttribute("d", dark.map(([x, y]) => `M${x} ${y}h1v1h-1z`).join(""));
  $("handover").hidden = false;
}
