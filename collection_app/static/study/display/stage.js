/** Where pictures are shown: picks the layout and scale that make them largest, and keeps them on the device grid. */

import { onDisplayChange, Patch } from "./patch.js";
import { arrange, leastRoom } from "./room.js";

/** @typedef {import("./room.js").Layouts} Layouts */
/** @typedef {import("./room.js").Size} Size */
/** @typedef {import("./room.js").Arrangement} Arrangement */
/** @typedef {Arrangement & {fits: boolean, mode: string, needed: Size}} Checked `needed` is the window that has room for all */

const IN_PLACE = { single: [1, 1] };

export class Stage {
  #element;
  #patches;
  #layouts;
  #size;
  #wanted;
  mode = "side-by-side"; // or in-place, of the pictures that were laid out last
  /** @type {Size} */
  #picture = { width: 64, height: 64 };
  /** @type {Arrangement} */
  #laid = { layout: "row", scale: 1, view: this.#picture };
  /** @type {Set<() => void>} */
  #told = new Set();

  /**
   * @param {HTMLElement} element
   * @param {object} display
   * @param {Layouts} display.layouts
   * @param {number} display.size
   * @param {string} display.wanted side-by-side, in-place, or auto for the first of them that has room
   */
  constructor(element, { layouts, size, wanted }) {
    this.#element = element;
    this.#patches = /** @type {HTMLElement} */ (element.querySelector(".patches"));
    this.#layouts = layouts;
    this.#size = size;
    this.#wanted = wanted;
    /** @type {HTMLElement[]} */
    const holders = [...element.querySelectorAll(".holder")].filter((part) => part instanceof HTMLElement);
    this.patches = holders.map((holder) => new Patch(holder));
    /** Where pictures are shown in place. */
    this.spot = this.patches.find(({ holder }) => holder.closest("[data-reference]")) ?? this.patches[0];
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
    const modes = this.#wanted === "auto" ? ["side-by-side", "in-place"] : [this.#wanted];
    return modes.some((mode) => {
      this.mode = mode;
      this.fit();
      return this.#laid.scale > 0;
    });
  }

  /**
   * What the room allows for pictures of some sizes: how the largest is laid out, and, if one has no room, the size of
   * the window that it needs.
   *
   * @param {Size[]} pictures
   * @returns {Checked}
   */
  check(pictures) {
    const laid = pictures.map((picture) => ({ fits: this.lay(picture), mode: this.mode, ...this.#laid }));
    const least = pictures.map((picture) => leastRoom(picture, this.#own(), devicePixelRatio, this.#taken(), false));
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
    this.#element.dataset.mode = this.mode;
    this.#laid = arrange(this.#picture, this.#own(), this.#room(), this.#taken(), false);
    this.#patches.dataset.layout = this.#laid.layout;
    const shown = this.mode === "in-place" ? [this.spot] : this.patches;
    for (const patch of shown) patch.resize(this.#laid.view, this.scale);
    for (const patch of shown) patch.settle();
  }

  /** Show nothing. */
  clear() {
    for (const patch of this.patches) patch.clear();
  }

  #own() {
    return this.mode === "in-place" ? IN_PLACE : this.#layouts;
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
