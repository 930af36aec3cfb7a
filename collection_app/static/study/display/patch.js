/** A picture, or a part of one, on the device's own grid. */

/** @typedef {import("./room.js").Size} Size */

/** A canvas in a holder, which takes part in the layout; the canvas lies in it on whole device pixels. */
export class Patch {
  #canvas = document.createElement("canvas");
  #context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
  #scale = 1;
  /** @type {Size} */
  #view = { width: 1, height: 1 };
  #from = { x: 0, y: 0 };
  /** @type {ImageBitmap | null} */
  #bitmap = null;
  /** @type {number[] | null} */
  #seen = null; // device pixels that the browser says the canvas covers

  /** @param {HTMLElement} holder */
  constructor(holder) {
    this.holder = holder;
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

  /** Whether the browser covers exactly as many device pixels as are drawn; null where it does not say. */
  get exact() {
    if (!this.#seen) return null;
    return this.#seen[0] === this.#canvas.width && this.#seen[1] === this.#canvas.height;
  }

  /** How many device pixels are drawn. */
  get pixels() {
    return { width: this.#canvas.width, height: this.#canvas.height };
  }

  /**
   * Take a size, that of a part of a picture at a scale: holder first, so that all holders are laid out before `settle`
   * reads where they are.
   *
   * @param {Size} view
   * @param {number} scale
   */
  resize(view, scale, ratio = devicePixelRatio) {
    this.#scale = scale;
    this.#view = view;
    const [width, height] = [view.width * scale, view.height * scale];
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    // Room for the shift onto the grid, which is less than a device pixel.
    this.holder.style.width = `${(width + 1) / ratio}px`;
    this.holder.style.height = `${(height + 1) / ratio}px`;
    this.#canvas.style.width = `${width / ratio}px`;
    this.#canvas.style.height = `${height / ratio}px`;
    this.#draw();
  }

  /** Lie on the device grid, wherever the layout has put the holder. */
  settle(ratio = devicePixelRatio) {
    const place = this.holder.getBoundingClientRect();
    this.#canvas.style.left = `${Math.ceil(place.left * ratio - 0.01) / ratio - place.left}px`;
    this.#canvas.style.top = `${Math.ceil(place.top * ratio - 0.01) / ratio - place.top}px`;
  }

  /**
   * Draw a picture, now; in one step, so that there is nothing between it and the one before.
   *
   * @param {ImageBitmap | null} bitmap
   */
  show(bitmap) {
    this.#bitmap = bitmap;
    this.#draw();
  }

  /**
   * Show another part of the picture, now: the one whose corner is this pixel.
   *
   * @param {{x: number, y: number}} from
   */
  look(from) {
    this.#from = from;
    this.#draw();
  }

  /** Draw nothing, now: the ground shows. */
  clear() {
    this.show(null);
  }

  #draw() {
    const context = this.#context;
    context.imageSmoothingEnabled = false;
    const { width, height } = this.#view;
    const [across, down] = [width * this.#scale, height * this.#scale];
    if (this.#bitmap) {
      context.drawImage(this.#bitmap, this.#from.x, this.#from.y, width, height, 0, 0, across, down);
    } else context.clearRect(0, 0, across, down);
  }

  /** Draw a cross to look at, now. */
  cross() {
    this.clear();
    const context = this.#context;
    const [x, y] = [this.#canvas.width / 2, this.#canvas.height / 2];
    const arm = Math.min(this.#canvas.width, this.#canvas.height) / 16;
    const half = Math.max(1, Math.round(arm / 8));
    context.fillStyle = "#0a0a0a";
    context.fillRect(x - arm, y - half, 2 * arm, 2 * half);
    context.fillRect(x - half, y - arm, 2 * half, 2 * arm);
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
