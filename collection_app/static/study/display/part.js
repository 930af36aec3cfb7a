/** The part that is shown of pictures larger than their room, the same of each, and how much of them came into view. */

import { partOf } from "./room.js";

/** @typedef {import("./room.js").Size} Size */

const MOST_ZOOM = 8;
const CELLS = 64; // across and down; a cell counts as seen once all of it was in view

export class Part {
  #picture;
  /** @type {Size} */
  #room; // in device pixels
  #middle;
  #zoom = 1;
  #seen = new Uint8Array(CELLS * CELLS);
  mostZoom = 1;

  /** @param {Size} picture */
  constructor(picture) {
    this.#picture = picture;
    this.#room = picture;
    this.#middle = { x: picture.width / 2, y: picture.height / 2 };
  }

  get zoom() {
    return this.#zoom;
  }

  /** How many pixels of the picture are shown. */
  get view() {
    return partOf(this.#picture, this.#room, this.#zoom);
  }

  /** The first of them. */
  get from() {
    const { width, height } = this.view;
    return {
      x: clamp(Math.round(this.#middle.x - width / 2), 0, this.#picture.width - width),
      y: clamp(Math.round(this.#middle.y - height / 2), 0, this.#picture.height - height),
    };
  }

  /** The share of the picture that has come into view. */
  get seen() {
    const cells = this.#seen.reduce((sum, one) => sum + one, 0);
    return Math.floor((1000 * cells) / this.#seen.length) / 1000; // all of it is 1, and nothing less
  }

  /** @param {Size} room */
  fit(room) {
    this.#room = room;
    this.#look();
  }

  /**
   * By so many device pixels, and no further than to the edge.
   *
   * @param {number} across
   * @param {number} down
   */
  moveBy(across, down) {
    const { width, height } = this.view;
    const { x, y } = this.#middle;
    this.#middle = {
      x: clamp(x + across / this.#zoom, width / 2, this.#picture.width - width / 2),
      y: clamp(y + down / this.#zoom, height / 2, this.#picture.height - height / 2),
    };
    this.#look();
  }

  /** @param {number} steps */
  zoomBy(steps) {
    this.#zoom = clamp(this.#zoom + steps, 1, MOST_ZOOM);
    this.mostZoom = Math.max(this.mostZoom, this.#zoom);
    this.moveBy(0, 0);
  }

  #look() {
    const { view, from } = this;
    const columns = within(from.x, view.width, this.#picture.width);
    const rows = within(from.y, view.height, this.#picture.height);
    for (let row = rows.first; row < rows.end; row += 1) {
      this.#seen.fill(1, row * CELLS + columns.first, row * CELLS + Math.max(columns.first, columns.end));
    }
  }
}

/**
 * The cells of a side that lie within a part of it.
 *
 * @param {number} from
 * @param {number} length
 * @param {number} side
 */
function within(from, length, side) {
  return { first: Math.ceil((from * CELLS) / side), end: Math.floor(((from + length) * CELLS) / side) };
}

/** @type {(value: number, least: number, most: number) => number} */
const clamp = (value, least, most) => Math.max(least, Math.min(value, most));
