/** 2AFC in place: one picture at a time at one spot; keys 1, 2 and 3, the buttons or a tap change it, and all three must
 * be looked at before the question comes. */

const PICTURES = ["reference", "left", "right"];

/** How often and how long each picture was looked at: from the frame that showed it to the one that showed another. */
export class Looks {
  #counts = [0, 0, 0];
  #times = [0, 0, 0];
  #at = -1; // the picture that is shown
  #since = 0;

  /**
   * @param {number} which
   * @param {number} now
   */
  show(which, now) {
    if (which === this.#at) return;
    this.end(now);
    this.#at = which;
    this.#since = now;
    this.#counts[which] += 1;
  }

  /** @param {number} now */
  end(now) {
    if (this.#at >= 0) this.#times[this.#at] += Math.max(0, now - this.#since);
    this.#at = -1;
  }

  /**
   * Whether each was looked at for so long by now.
   *
   * @param {number} leastMs
   * @param {number} now
   */
  enough(leastMs, now) {
    return this.#counts.every((count, i) => {
      const time = this.#times[i] + (i === this.#at ? now - this.#since : 0);
      return count > 0 && time >= leastMs;
    });
  }

  /** The columns of an answer. */
  get columns() {
    return Object.fromEntries(
      PICTURES.flatMap((name, i) => [
        [`${name}_looks`, this.#counts[i]],
        [`${name}_look_ms`, this.#times[i]],
      ]),
    );
  }
}

/**
 * Let the person change the picture until `signal` aborts; it is changed within a frame, by one drawing over the other.
 *
 * @param {HTMLButtonElement[]} tabs
 * @param {HTMLElement} spot
 * @param {(which: number, now: number) => void} turn
 * @param {AbortSignal} signal
 */
export function switching(tabs, spot, turn, signal) {
  let at = 0;
  /** @param {number} which */
  const ask = (which) => {
    at = which;
    requestAnimationFrame((now) => {
      if (!signal.aborted) turn(which, now);
    });
  };
  for (const [i, tab] of tabs.entries()) {
    tab.disabled = false;
    tab.addEventListener("click", () => ask(i), { signal });
  }
  signal.addEventListener("abort", () => {
    for (const tab of tabs) tab.disabled = true;
  });
  spot.addEventListener("click", () => ask((at + 1) % tabs.length), { signal });
  document.addEventListener(
    "keydown",
    (event) => {
      const which = tabs.findIndex((_, i) => [`Digit${i + 1}`, `Numpad${i + 1}`].includes(event.code));
      if (which < 0 || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector("dialog[open]")) return;
      event.preventDefault();
      ask(which);
    },
    { signal },
  );
}
