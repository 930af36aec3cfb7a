/** Time in frames. What is shown changes only inside a requestAnimationFrame callback; that callback's timestamp is
 * the onset of the new picture and the offset of the old one. This is the compositor's time: what the panel then
 * does (queueing, scan-out, its own response) only a photodiode can tell, see docs/participants.md. */

const KEPT = 240;
const LEAD_MS = 50; // a loop that has just begun may miss frames

/** A frame loop that knows the time between frames. */
export class FrameClock {
  /** @type {number[]} */
  #times = [];
  /** @type {Set<(now: number) => void>} */
  #watchers = new Set();

  /**
   * Keep the loop running until `signal` aborts.
   *
   * @param {AbortSignal} signal
   */
  start(signal) {
    /** @param {number} now */
    const step = (now) => {
      if (signal.aborted) return;
      this.#times.push(now);
      if (this.#times.length > KEPT) this.#times.shift();
      for (const watcher of [...this.#watchers]) watcher(now);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  /** Times of the last frames, in milliseconds. */
  get times() {
    return [...this.#times];
  }

  /** Time between frames in milliseconds; NaN before there were enough. */
  get period() {
    return period(this.#times);
  }

  /**
   * Call `watcher` with every frame's time, until the function that this gives is called.
   *
   * @param {(now: number) => void} watcher
   */
  each(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /**
   * Wait for the first frame of which something is true.
   *
   * @param {(now: number) => boolean} reached
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  until(reached, signal) {
    return new Promise((resolve, reject) => {
      const stop = this.each((now) => {
        if (!reached(now)) return;
        stop();
        resolve();
      });
      signal.addEventListener("abort", () => {
        stop();
        reject(signal.reason);
      });
    });
  }

  /** Forget past frames: they were those of another monitor. */
  forget() {
    this.#times = [];
  }
}

/**
 * Time between frames, from their times: the mean of those intervals that are one frame long. The lower quartile
 * says which these are, so that up to three in four may be longer because frames were dropped.
 *
 * @param {number[]} times
 */
export function period(times) {
  const intervals = times.slice(1).map((time, i) => time - times[i]);
  if (intervals.length < 8) return NaN;
  const single = [...intervals].sort((a, b) => a - b)[Math.floor(intervals.length / 4)];
  const alike = intervals.filter((interval) => interval > 0.5 * single && interval < 1.5 * single);
  return alike.reduce((sum, interval) => sum + interval, 0) / alike.length;
}

/**
 * Whether a picture that has been shown for `elapsed` should go with this frame: is it the nearest to `wanted`?
 *
 * @param {number} elapsed
 * @param {number} wanted
 * @param {number} frame
 */
export function isNearest(elapsed, wanted, frame) {
  return elapsed >= wanted - frame / 2;
}

/** @typedef {{onsets: number[], times: number[], period: number, dropped: number}} Shown */

/**
 * Show steps one after another, each from a frame to a frame.
 *
 * `steps` are {draw, ms}; `draw()` is called in the frame that begins a step. The last step has no end: its onset
 * is the end of the one before. Gives {onsets, times, period, dropped}: onsets of all steps, times of all frames from
 * the first onset to the last, and how many frames were missed between them.
 *
 * @param {FrameClock} clock
 * @param {{draw: () => void, ms?: number}[]} steps
 * @param {AbortSignal} [signal]
 * @returns {Promise<Shown>}
 */
export function showSteps(clock, steps, signal) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    /** @type {number[]} */
    const onsets = [];
    /** @type {number[]} */
    const times = [];
    signal?.addEventListener("abort", () => {
      stop();
      reject(signal.reason);
    });
    const stop = clock.each((now) => {
      const frame = clock.period;
      const at = onsets.length - 1;
      const ready =
        at < 0 ? now - began >= LEAD_MS && frame > 0 : isNearest(now - onsets[at], steps[at].ms ?? 0, frame);
      if (at >= 0) times.push(now);
      if (!ready) return;
      steps[at + 1].draw();
      if (at < 0) times.push(now);
      onsets.push(now);
      if (onsets.length < steps.length) return;
      stop();
      resolve({ onsets, times, period: frame, dropped: dropped(times, frame) });
    });
  });
}

/**
 * How many frames were missed between frames at these times.
 *
 * @param {number[]} times
 * @param {number} frame
 */
export function dropped(times, frame) {
  return times.slice(1).reduce((sum, time, i) => sum + Math.max(0, Math.round((time - times[i]) / frame) - 1), 0);
}

/** Smallest step of performance.now() in milliseconds, as observed. */
export function clockResolution(forMs = 20) {
  let smallest = Infinity;
  let last = performance.now();
  for (const end = last + forMs; last < end; ) {
    const now = performance.now();
    if (now > last) smallest = Math.min(smallest, now - last);
    last = now;
  }
  return smallest;
}
