/** What this screen is and how steady its frames come: the device check. */

import { isMagnified } from "./attention.js";
import { clockResolution, dropped, period } from "./frames.js";

const FRAMES = 120;
const LONGEST_MS = 3000;
const MOST_DROPPED = 0.2; // share of frames missed while nothing else goes on

/**
 * Watch frames for some two seconds; gives {hz, jitter, missed}: standard deviation in ms, share of frames.
 *
 * @param {import("./frames.js").FrameClock} clock
 */
export async function watchFrames(clock) {
  clock.forget();
  const began = performance.now();
  await /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      const stop = clock.each(() => {
        if (clock.times.length < FRAMES && performance.now() - began < LONGEST_MS) return;
        stop();
        resolve();
      });
    })
  );
  const times = clock.times;
  const frame = period(times);
  const single = times
    .slice(1)
    .map((time, i) => time - times[i])
    .filter((ms) => ms < 1.5 * frame);
  const spread = Math.sqrt(single.reduce((sum, ms) => sum + (ms - frame) ** 2, 0) / single.length);
  const missed = dropped(times, frame);
  return { hz: 1000 / frame, jitter: spread, missed: missed / (missed + times.length) };
}

/**
 * What is wrong with a device, as names of facts; nothing if all is well. Frames matter where patches are `timed`.
 *
 * @param {{timed: boolean, fits: boolean, magnified: boolean, hz: number, missed: number, leastHz: number}} device
 */
export function faults({ timed, fits, magnified, hz, missed, leastHz }) {
  const found = [];
  if (!fits) found.push("small");
  if (magnified) found.push("zoom");
  if (timed && !(hz >= leastHz)) found.push("rate");
  else if (timed && missed > MOST_DROPPED) found.push("unsteady");
  return found;
}

// How far a rate of frames may be from the one that was checked.
const ANOTHER_RATE = 1.25;

/**
 * Whether the display is not the one that was checked: another screen or zoom, or another rate where `hz` is known.
 *
 * @param {Record<string, any>} checked
 */
export function differs(checked, hz = NaN) {
  const now = { device_pixel_ratio: devicePixelRatio, screen_width: screen.width, screen_height: screen.height };
  const other = Object.entries(now).some(([name, value]) => Math.abs(value - checked[name]) > 1e-6);
  const times = Math.max(hz / checked.refresh_hz, checked.refresh_hz / hz);
  return other || times > ANOTHER_RATE;
}

/**
 * All that is stored of a device.
 *
 * @param {object} device
 * @param {{hz: number, jitter: number, missed: number}} device.frames
 * @param {{layout: string, scale: number}} device.room
 * @param {boolean | null} device.exact
 * @param {boolean} device.lasting
 */
export function describe({ frames, room, exact, lasting }) {
  /** @type {(value: number, digits: number) => number} */
  const round = (value, digits) => Number(value.toFixed(digits));
  return {
    screen_width: screen.width,
    screen_height: screen.height,
    window_width: innerWidth,
    window_height: innerHeight,
    device_pixel_ratio: devicePixelRatio,
    magnified: isMagnified(),
    layout: room.layout,
    scale: room.scale,
    pixel_exact: exact ?? "unknown",
    refresh_hz: round(frames.hz || 0, 3),
    frame_jitter_ms: round(frames.jitter || 0, 3),
    frames_missed: round(frames.missed || 0, 4),
    clock_resolution_ms: round(clockResolution(), 4),
    cross_origin_isolated: globalThis.crossOriginIsolated ?? false,
    color_depth: screen.colorDepth,
    gamut: ["rec2020", "p3", "srgb"].find((gamut) => matchMedia(`(color-gamut: ${gamut})`).matches) ?? "unknown",
    high_dynamic_range: matchMedia("(dynamic-range: high)").matches,
    touch: matchMedia("(pointer: coarse)").matches,
    engine: "userAgentData" in navigator ? "chromium" : CSS.supports("-moz-appearance", "none") ? "firefox" : "webkit",
    keeps_answers: lasting,
  };
}
