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
  if (!found.length) return; // they already stand there
  const examples = [...found].map((holder) => ({
    holder,
    patch: new Patch(holder),
    first: holder.dataset.example ?? "",
  }));
  for (const { holder, patch, first } of examples) {
    holder.removeAttribute("data-example");
    showAt(patch, first);
    switching(holder, patch, first, signal);
  }
  const fit = () => {
    const width = Math.max(...examples.map(({ holder }) => holder.closest(".examples")?.clientWidth ?? 0));
    const room = { width: width - 96, height: width, rows: 1, ratio: devicePixelRatio, size: 128 };
    for (const { holder, patch } of examples) {
      const columns = besides(holder).length ? 1 : 3;
      patch.resize(SIZE, Math.max(1, scaleFor(SIZE, { ...room, columns })));
    }
    for (const { patch } of examples) patch.settle();
  };
  fit();
  onDisplayChange(fit, signal);
}

/**
 * @param {Patch} patch
 * @param {string} address
 */
async function showAt(patch, address) {
  patch.show((await decoded(address)).bitmap);
}

/**
 * The buttons that show other pictures at an example's place.
 *
 * @param {HTMLElement} holder
 * @returns {HTMLElement[]}
 */
function besides(holder) {
  const found = holder.parentElement?.querySelectorAll("[data-instead]") ?? [];
  return [...found].filter((button) => button instanceof HTMLElement);
}

/**
 * Let buttons beside an example show other pictures at its place, as trials in place do.
 *
 * @param {HTMLElement} holder
 * @param {Patch} patch
 * @param {string} first
 * @param {AbortSignal} signal
 */
function switching(holder, patch, first, signal) {
  const buttons = besides(holder);
  const bitmaps = new Map(buttons.map(({ dataset }) => [dataset.instead, decoded(dataset.instead ?? first)]));
  for (const button of buttons) {
    button.addEventListener(
      "click",
      async () => {
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        holder.setAttribute("aria-label", button.textContent ?? "");
        const picture = await bitmaps.get(button.dataset.instead);
        if (picture && button.getAttribute("aria-pressed") === "true") patch.show(picture.bitmap);
      },
      { signal },
    );
  }
}
