/** Where pictures are shown: picks the layout and scale that make them largest, and keeps them on the device grid. */

import { Part } from "./part.js";
import { onDisplayChange, Patch } from "./patch.js";
import { arrangePart, arrangeWhole, leastRoom, roomOfOne } from "./room.js";

/** @typedef {import("./room.js").Layouts} Layouts */
/** @typedef {import("./room.js").Size} Size */
/** @typedef {import("./room.js").Arrangement} Arrangement */
/** @typedef {Arrangement & {fits: boolean, whole: boolean, mode: string, needed: Size}} Checked `needed` is the window that has room for all */

/** @type {Layouts} */
const IN_PLACE = { single: [1, 1] };

export class Stage {
  #element;
  #patches;
  #layouts;
  #size;
  #wanted;
  #movable;
  mode = "side-by-side"; // or in-place, of the pictures that were laid out last
  /** @type {Size} */
  #picture = { width: 64, height: 64 };
  /** What is shown of pictures that are larger than their room. */
  #part = new Part(this.#picture);
  #inParts = false; // since the pictures were laid out
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
   * @param {boolean} display.movable whether of pictures that are larger than their room a part may be shown
   */
  constructor(element, { layouts, size, wanted, movable }) {
    this.#element = element;
    this.#patches = /** @type {HTMLElement} */ (element.querySelector(".patches"));
    this.#layouts = layouts;
    this.#size = size;
    this.#wanted = wanted;
    this.#movable = movable;
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

  /** Whether only a part of each picture is shown, which can be moved and enlarged. */
  get movable() {
    return this.#element.hasAttribute("data-movable");
  }

  /** Whether arrow keys move pictures in this study, and so answer in none of its trials: of some only a part has room. */
  get arrowsMove() {
    return this.#element.hasAttribute("data-arrows-move");
  }

  /** What was seen of pictures that were at some time larger than their room, as columns of an answer; else nothing. */
  get seen() {
    if (!this.#inParts) return {};
    return { most_scale: this.#part.mostZoom, part_seen: this.movable ? this.#part.seen : 1 };
  }

  /**
   * Lay out for pictures of a size, from their middle; gives whether there is room for them. A part of them is shown
   * only where no layout has room for all.
   *
   * @param {Size} picture
   */
  lay({ width, height }) {
    this.#picture = { width, height };
    this.#part = new Part(this.#picture);
    this.#inParts = false;
    const modes = this.#wanted === "auto" ? ["side-by-side", "in-place"] : [this.#wanted];
    return modes.some((mode, i) => {
      this.mode = mode;
      this.fit(i === modes.length - 1);
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
    const laid = pictures.map((picture) => {
      const fits = this.lay(picture);
      const { room, least } = this.#least(picture);
      return { ...this.#laid, fits, whole: !this.movable, mode: this.mode, room, least };
    });
    return {
      ...laid[0],
      fits: laid.every(({ fits }) => fits),
      needed: {
        width: Math.max(...laid.map(({ room, least }) => innerWidth - room.width + least.width)),
        height: Math.max(...laid.map(({ room, least }) => innerHeight - room.height + least.height)),
      },
    };
  }

  /**
   * The room as it is now, and the least that a picture needs, in CSS pixels.
   *
   * @param {Size} picture
   */
  #least(picture) {
    const least = leastRoom(picture, this.#own(), devicePixelRatio, this.#taken(), this.#movable);
    return { room: this.#room(), least };
  }

  /**
   * Take layout and scale, and lie on the grid.
   *
   * @param {boolean} [parts] whether a part will do where all of a picture has no room
   */
  fit(parts = true) {
    if (!this.#element.clientWidth) return;
    this.#element.dataset.mode = this.mode;
    this.#element.removeAttribute("data-movable");
    this.#laid = arrangeWhole(this.#picture, this.#own(), this.#room(), this.#taken());
    if (!this.#laid.scale && parts && this.#movable) {
      this.#element.setAttribute("data-movable", ""); // makes room for the buttons that enlarge
      this.#element.setAttribute("data-arrows-move", "");
      this.#inParts = true;
      const { layout, scale } = arrangePart(this.#picture, this.#own(), this.#room(), this.#taken());
      this.#part.fit(roomOfOne(this.#own()[layout], this.#room(), this.#taken()));
      this.#laid = { layout, scale: scale && this.#part.zoom, view: this.#part.view };
    }
    this.#patches.dataset.layout = this.#laid.layout;
    const shown = this.mode === "in-place" ? [this.spot] : this.patches;
    for (const patch of shown) patch.look(this.movable ? this.#part.from : { x: 0, y: 0 });
    for (const patch of shown) patch.resize(this.#laid.view, this.scale);
    for (const patch of shown) patch.settle();
  }

  /**
   * Move all pictures alike, by so many device pixels.
   *
   * @param {number} across
   * @param {number} down
   */
  move(across, down) {
    this.#part.moveBy(across, down);
    for (const patch of this.patches) patch.look(this.#part.from);
  }

  /**
   * Enlarge all pictures alike, by whole steps from 1:1; what is in the middle stays there.
   *
   * @param {number} steps
   */
  zoom(steps) {
    this.#part.zoomBy(steps);
    this.fit();
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
