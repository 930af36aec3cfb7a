/** The check of the screen: whether there is room for the pictures, and what the person is told of what was found. */

import { by, say } from "./view.js";

/**
 * Lay the stage out as trials will, out of sight, and see what has room; `exact`: do device pixels agree?
 *
 * @param {import("./display/stage.js").Stage} stage
 * @param {import("./display/room.js").Size[]} sizes
 */
export async function measureStage(stage, sizes) {
  const page = /** @type {HTMLElement} */ (document.querySelector('section[data-page="trials"]'));
  page.classList.add("measured");
  page.hidden = false;
  const room = stage.check(sizes);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const found = { room, exact: stage.patches[0].exact };
  page.hidden = true;
  page.classList.remove("measured");
  return found;
}

/**
 * The ways in which pictures of some sizes, and smaller ones, are laid out here; "movable" where of some only a part has
 * room, else "whole".
 *
 * @param {import("./display/stage.js").Stage} stage
 * @param {import("./display/room.js").Size[]} sizes
 */
export async function modesOf(stage, sizes) {
  const found = new Set();
  for (const size of sizes) {
    const { room } = await measureStage(stage, [size]);
    found.add(room.mode);
    if (!room.whole) found.add("movable");
  }
  if (!found.has("movable")) found.add("whole");
  return found;
}

/**
 * What the check of the screen has found; without `frames` they have not been watched yet.
 *
 * @param {object} found
 * @param {import("./display/stage.js").Checked} found.room
 * @param {{hz: number}} [found.frames]
 * @param {string[]} found.wrong
 * @param {number} found.leastHz
 */
export function showDevice({ room, frames, wrong, leastHz }) {
  const { view, scale, needed } = room;
  if (wrong.includes("small")) {
    const size = { width: innerWidth, height: innerHeight };
    say("device-size", "device.small", { ...size, needed_width: needed.width, needed_height: needed.height });
  } else {
    const size = { width: view.width * scale, height: view.height * scale };
    say("device-size", "device.size_value", { ...size, scale: `${scale} × ${scale}` });
  }
  say("device-zoom", wrong.includes("zoom") ? "device.zoom_bad" : "device.zoom_good");
  const rate = frames?.hz ? frames.hz.toFixed(1) : "?";
  const name = wrong.includes("rate") ? "rate_bad" : wrong.includes("unsteady") ? "rate_unsteady" : "rate_value";
  say("device-rate", `device.${name}`, { rate: frames ? rate : "…", least: leastHz });
  by("device-verdict").className = wrong.length ? "notice bad" : "notice good";
  say("device-verdict", wrong.length ? "device.bad" : "device.good");
  by("device-next").disabled = wrong.length > 0;
  by("device-again").hidden = by("device-leave").hidden = by("device-advice").hidden = !wrong.length;
  by(wrong.length ? "device-again" : "device-next").focus({ preventScroll: true });
}
