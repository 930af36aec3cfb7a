/** Where patches are shown: picks the layout and scale that make them largest, and keeps them on the device grid. */

import { onDisplayChange, Patch, scaleFor } from "./patch.js";

/** @typedef {Record<string, number[]>} Layouts */

/**
 * The layout and scale for a room in CSS pixels. `layouts` are [columns, rows] by name; `beside` and `below` are what
 * padding, name and gap take of the room for each column and row.
 *
 * @param {Layouts} layouts
 * @param {{width: number, height: number, ratio: number, size: number}} room
 * @param {{beside: number, below: number}} taken
 */
export function bestLayout(layouts, { width, height, ratio, size }, { beside, below }) {
  const found = Object.entries(layouts).map(([layout, [columns, rows]]) => {
    const room = { width: width - columns * beside, height: height - rows * below };
    return { layout, scale: scaleFor({ ...room, columns, rows, ratio, size }) };
  });
  return found.reduce((best, one) => (one.scale > best.scale ? one : best));
}

export class Stage {
  #element;
  #patches;
  #layouts;
  #size;
  /** @type {Set<() => void>} */
  #told = new Set();

  /**
   * @param {HTMLElement} element
   * @param {{layouts: Layouts, size: number}} display
   */
  constructor(element, { layouts, size }) {
    this.#element = element;
    this.#patches = /** @type {HTMLElement} */ (element.querySelector(".patches"));
    this.#layouts = layouts;
    this.#size = size;
    /** @type {HTMLElement[]} */
    const holders = [...element.querySelectorAll(".holder")].filter((part) => part instanceof HTMLElement);
    this.patches = holders.map((holder) => new Patch(holder));
  }

  /**
   * Follow zoom, monitor and window until `signal` aborts.
   *
   * @param {AbortSignal} signal
   */
  follow(signal) {
    const observer = new ResizeObserver(() => this.fit());
    observer.observe(this.#element);
    signal.addEventListener("abort", () => observer.disconnect());
    onDisplayChange(() => {
      this.fit();
      for (const tell of this.#told) tell();
    }, signal);
    this.fit();
  }

  /**
   * Call `tell` when the display has changed.
   *
   * @param {() => void} tell
   */
  onChange(tell) {
    this.#told.add(tell);
  }

  get scale() {
    return this.patches[0].scale;
  }

  /** What the room allows: {layout, scale}; scale 0 if nothing fits. */
  best() {
    const style = getComputedStyle(this.#element);
    /** @param {string} name */
    const number = (name) => parseFloat(style.getPropertyValue(name));
    /** @type {NodeListOf<HTMLElement>} */
    const others = this.#element.querySelectorAll(":scope > .prompt, :scope > .tail");
    const width = this.#element.clientWidth;
    const height = this.#element.clientHeight - [...others].reduce((sum, part) => sum + part.offsetHeight, 0);
    const room = { width, height, ratio: devicePixelRatio, size: this.#size };
    return bestLayout(this.#layouts, room, { beside: number("--beside"), below: number("--below") });
  }

  /** Take layout and scale, and lie on the grid. */
  fit() {
    if (!this.#element.clientWidth) return;
    const { layout, scale } = this.best();
    this.#patches.dataset.layout = layout;
    for (const patch of this.patches) patch.resize(Math.max(1, scale));
    for (const patch of this.patches) patch.settle();
  }

  /** Show nothing. */
  clear() {
    for (const patch of this.patches) patch.clear();
  }
}
