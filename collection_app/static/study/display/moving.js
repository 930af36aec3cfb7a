/** Moving and enlarging the part of pictures that is shown: by keys, buttons, mouse, pen or touch, all pictures alike. */

const DRAGGED = 5; // CSS pixels from which on a press is no click
const STEP = 0.125; // of the room, with an arrow key

/** @type {Record<string, number[]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** @type {Record<string, number>} */
const ZOOMS = { "+": 1, "=": 1, "-": -1 };

/**
 * Let the person move and enlarge the pictures until `signal` aborts, where only a part of them is shown.
 *
 * @param {import("./stage.js").Stage} stage
 * @param {AbortSignal} signal
 */
export function moving(stage, signal) {
  const level = document.querySelector("[data-zoom-level]");
  /** @param {number} steps */
  const zoom = (steps) => {
    stage.zoom(steps);
    if (level) level.textContent = `${stage.scale} ×`;
  };
  zoom(0);
  /** @type {NodeListOf<HTMLElement>} */
  const buttons = document.querySelectorAll("[data-zoom]");
  for (const button of buttons) {
    button.addEventListener("click", () => stage.movable && zoom(Number(button.dataset.zoom)), { signal });
  }
  for (const { holder } of stage.patches) dragging(holder, stage, signal);
  document.addEventListener(
    "keydown",
    (event) => {
      const elsewhere = event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]");
      if (elsewhere) return;
      if (event.key in ARROWS && stage.arrowsMove) {
        const [across, down] = ARROWS[event.key];
        const { width, height } = stage.spot.pixels;
        if (stage.movable) stage.move(across * STEP * width, down * STEP * height);
      } else if (event.key in ZOOMS && stage.movable) zoom(ZOOMS[event.key]);
      else return;
      event.preventDefault(); // nor is it an answer, where whole pictures come in between either
    },
    { signal },
  );
}

/**
 * @param {HTMLElement} holder
 * @param {import("./stage.js").Stage} stage
 * @param {AbortSignal} signal
 */
function dragging(holder, stage, signal) {
  /** @type {PointerEvent | null} */
  let last = null;
  let far = 0;
  holder.addEventListener(
    "pointerdown",
    (event) => {
      if (!stage.movable || !event.isPrimary || event.button) return;
      [last, far] = [event, 0];
      holder.setPointerCapture(event.pointerId);
    },
    { signal },
  );
  holder.addEventListener(
    "pointermove",
    (event) => {
      if (event.pointerId !== last?.pointerId) return;
      const [across, down] = [last.clientX - event.clientX, last.clientY - event.clientY];
      far += Math.hypot(across, down);
      last = event;
      if (far >= DRAGGED) stage.move(across * devicePixelRatio, down * devicePixelRatio);
    },
    { signal },
  );
  for (const end of ["pointerup", "pointercancel"]) holder.addEventListener(end, () => (last = null), { signal });
  holder.addEventListener(
    "click",
    (event) => {
      if (far >= DRAGGED && event.detail > 0) event.stopImmediatePropagation(); // the end of a drag is no answer
      far = 0;
    },
    { signal, capture: true },
  );
}
