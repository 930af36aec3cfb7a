/** Where pictures are shown: picks the layout and scale that make them largest, and keeps them on the device grid. */

import { onDisplayChange, Patch } from "./patch.js";
import { arrange, leastRoom } from "./room.js";

/** @typedef {import("./room.js").Layouts} Layouts */
/** @typedef {import("./room.js").Size} Size */
/** @typedef {import("./room.js").Arrangement} Arrangement */
/** @typedef {Arrangement & {fits: boolean, needed: Size}} Checked `needed` is the window that has room for all */

export class Stage {
  #element;
  #patches;
  #layouts;
  #size;
  /** @type {Size} */
  #picture = { width: 64, height: 64 };
  /** @type {Arrangement} */
  #laid = { layout: "row", scale: 1, view: this.#picture };
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
    return this.#laid.scale || 1;
  }

  /**
   * Lay out for pictures of a size; gives whether there is room for them.
   *
   * @param {Size} picture
   */
  lay({ width, height }) {
    this.#picture = { width, height };
    this.fit();
    return this.#laid.scale > 0;
  }

  /**
   * What the room allows for pictures of some sizes: how the largest is laid out, and, if one has no room, the size of
   * the window that it needs.
   *
   * @param {Size[]} pictures
   * @returns {Checked}
   */
  check(pictures) {
    const laid = pictures.map((picture) => ({ fits: this.lay(picture), ...this.#laid }));
    const least = pictures.map((picture) => leastRoom(picture, this.#layouts, devicePixelRatio, this.#taken(), false));
    const room = this.#room();
    return {
      ...laid[0],
      fits: laid.every(({ fits }) => fits),
      needed: {
        width: innerWidth - room.width + Math.max(...least.map(({ width }) => width)),
        height: innerHeight - room.height + Math.max(...least.map(({ height }) => height)),
      },
    };
  }

  /** Take layout and scale, and lie on the grid. */
  fit() {
    if (!this.#element.clientWidth) return;
    this.#laid = arrange(this.#picture, this.#layouts, this.#room(), this.#taken(), false);
    this.#patches.dataset.layout = this.#laid.layout;
    for (const patch of this.patches) patch.resize(this.#laid.view, this.scale);
    for (const patch of this.patches) patch.settle();
  }

  /** Show nothing. */
  clear() {
    for (const patch of this.patches) patch.clear();
  }

  #room() {
    /** @type {NodeListOf<HTMLElement>} */
    const others = this.#element.querySelectorAll(":scope > .prompt, :scope > .tail");
    const height = this.#element.clientHeight - [...others].reduce((sum, part) => sum + part.offsetHeight, 0);
    return { width: this.#element.clientWidth, height, ratio: devicePixelRatio, size: this.#size };
  }

  #taken() {
    const style = getComputedStyle(this.#element);
    /** @param {string} name */
    const number = (name) => parseFloat(style.getPropertyValue(name));
    return { beside: number("--beside"), below: number("--below") };
  }
}
