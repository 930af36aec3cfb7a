/** The examples of the instructions. */

import { decoded } from "./display/images.js";
import { onDisplayChange, Patch } from "./display/patch.js";
import { scaleFor } from "./display/room.js";

const SIZE = { width: 64, height: 64 }; // as large as they are

/**
 * Draw the examples as trials draw their patches, only smaller.
 *
 * @param {AbortSignal} signal
 */
export function drawExamples(signal) {
  /** @type {NodeListOf<HTMLElement>} */
  const found = document.querySelectorAll("[data-example]");
  const holders = [...found];
  const addresses = holders.map((holder) => holder.dataset.example ?? "");
  const patches = holders.map((holder) => new Patch(holder));
  for (const holder of holders) holder.removeAttribute("data-example");
  const fit = () => {
    const width = holders[0].closest(".examples")?.clientWidth ?? 0;
    const room = { width: width - 96, height: width, columns: 3, rows: 1, ratio: devicePixelRatio, size: 128 };
    for (const patch of patches) patch.resize(SIZE, Math.max(1, scaleFor(SIZE, room)));
    for (const patch of patches) patch.settle();
  };
  if (!patches.length) return; // they already stand there
  fit();
  onDisplayChange(fit, signal);
  patches.forEach(async (patch, i) => {
    patch.show((await decoded(addresses[i])).bitmap);
  });
}
