/** Patches on the device's own grid: a whole number of device pixels for each pixel of a patch, nothing resampled. */

export const SIDE = 64;

/**
 * How many device pixels a patch pixel gets where `columns` by `rows` patches share a room of `width` by `height`
 * CSS pixels: as many as come nearest to `size` CSS pixels for a patch, if they fit; 0 where not even one does.
 *
 * @param {{width: number, height: number, columns: number, rows: number, ratio: number, size: number}} room
 */
export function scaleFor({ width, height, columns, rows, ratio, size }) {
  const fits = Math.floor((Math.min(width / columns, height / rows) * ratio - 1) / SIDE);
  return Math.max(0, Math.min(fits, Math.max(1, Math.round((size * ratio) / SIDE))));
}

/** A canvas in a holder, which takes part in the layout; the canvas lies in it on whole device pixels. */
export class Patch {
  #canvas = document.createElement("canvas");
  #context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
  #holder;
  #scale = 1;
  /** @type {ImageBitmap | null} */
  #bitmap = null;
  /** @type {number[] | null} */
  #seen = null; // device pixels that the browser says the canvas covers

  /** @param {HTMLElement} holder */
  constructor(holder) {
    this.#holder = holder;
    holder.append(this.#canvas);
    try {
      new ResizeObserver(([entry]) => {
        const [size] = entry.devicePixelContentBoxSize;
        this.#seen = [size.inlineSize, size.blockSize];
      }).observe(this.#canvas, { box: "device-pixel-content-box" });
    } catch {
      // Safari has no such box; there the rounded rectangle has to do.
    }
  }

  get scale() {
    return this.#scale;
  }

  /** Whether the browser covers exactly as many device pixels as are drawn; null where it does not say. */
  get exact() {
    return this.#seen?.every((side) => side === SIDE * this.#scale) ?? null;
  }

  /**
   * Take a size: holder first, so that all holders are laid out before `settle` reads where they are.
   *
   * @param {number} scale
   */
  resize(scale, ratio = devicePixelRatio) {
    this.#scale = scale;
    const side = SIDE * scale;
    if (this.#canvas.width !== side) this.#canvas.width = this.#canvas.height = side;
    // Room for the shift onto the grid, which is less than a device pixel.
    this.#holder.style.width = this.#holder.style.height = `${(side + 1) / ratio}px`;
    this.#canvas.style.width = this.#canvas.style.height = `${side / ratio}px`;
    this.#draw();
  }

  /** Lie on the device grid, wherever the layout has put the holder. */
  settle(ratio = devicePixelRatio) {
    const place = this.#holder.getBoundingClientRect();
    this.#canvas.style.left = `${Math.ceil(place.left * ratio - 0.01) / ratio - place.left}px`;
    this.#canvas.style.top = `${Math.ceil(place.top * ratio - 0.01) / ratio - place.top}px`;
  }

  /**
   * Draw a patch, now.
   *
   * @param {ImageBitmap | null} bitmap
   */
  show(bitmap) {
    this.#bitmap = bitmap;
    this.#draw();
  }

  /** Draw nothing, now: the ground shows. */
  clear() {
    this.show(null);
  }

  #draw() {
    const context = this.#context;
    context.imageSmoothingEnabled = false;
    const side = SIDE * this.#scale;
    if (this.#bitmap) context.drawImage(this.#bitmap, 0, 0, side, side);
    else context.clearRect(0, 0, side, side);
  }

  /** Draw a cross to look at, now. */
  cross() {
    this.clear();
    const context = this.#context;
    const [middle, arm, half] = [(SIDE * this.#scale) / 2, 4 * this.#scale, Math.max(1, Math.round(this.#scale / 2))];
    context.fillStyle = "#0a0a0a";
    context.fillRect(middle - arm, middle - half, 2 * arm, 2 * half);
    context.fillRect(middle - half, middle - arm, 2 * half, 2 * arm);
  }
}

/**
 * Call `changed` whenever zoom, monitor or window change what a device pixel is or where things lie.
 *
 * @param {() => void} changed
 * @param {AbortSignal} signal
 */
export function onDisplayChange(changed, signal) {
  const watchRatio = () => {
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", again, { once: true, signal });
  };
  const again = () => {
    changed();
    watchRatio();
  };
  watchRatio();
  addEventListener("resize", changed, { signal });
  visualViewport?.addEventListener("resize", changed, { signal });
  visualViewport?.addEventListener("scroll", changed, { signal });
}
