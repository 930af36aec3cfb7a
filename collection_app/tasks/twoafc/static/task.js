/** 2AFC: a reference and two candidates, no time limit; side by side with the reference in the middle, or in place. */

import { chosen } from "../../../static/study/choice.js";
import { showSteps } from "../../../static/study/display/frames.js";
import { moving } from "../../../static/study/display/moving.js";
import { takePart } from "../../../static/study/main.js";
import { either } from "../../../static/study/signals.js";
import { Looks, switching } from "./in_place.js";

/** @typedef {import("../../../static/study/trials.js").Moment} Moment */

const BLANK_MS = 300; // so that nobody sees one trial's pictures turn into the next one's

/**
 * Show a trial and wait for the choice; gives the columns of an answer that it measures.
 *
 * @param {Moment} moment
 */
async function show(moment) {
  return moment.stage.mode === "in-place" ? showInPlace(moment) : showSideBySide(moment);
}

/** @param {Moment} moment */
async function showSideBySide({ stage, clock, attention, buttons, ask, bitmaps, signal }) {
  const names = ["left", "reference", "right"];
  const draw = () => {
    for (const [i, name] of names.entries()) stage.patches[i].show(bitmaps[name]);
  };
  ask("");
  stage.fit();
  const { onsets } = await showSteps(clock, [{ draw: () => stage.clear(), ms: BLANK_MS }, { draw }], signal);
  attention.begin();
  ask("trial.question");
  const pictures = buttons.filter((button) => !button.closest(".in-place"));
  const stop = new AbortController();
  moving(stage, either(signal, stop.signal));
  const { choice, at, input } = await chosen(pictures, signal);
  stop.abort();
  const measured = { reaction_ms: at - onsets[1], focus_lost: attention.lost, layout: "side-by-side" };
  return { choice, input, ...measured, ...stage.seen };
}

/** @param {Moment} moment */
async function showInPlace({ stage, clock, attention, buttons, ask, bitmaps, leastLookMs, signal }) {
  /** @type {HTMLButtonElement[]} */
  const tabs = [...document.querySelectorAll("[data-look]")].filter((tab) => tab instanceof HTMLButtonElement);
  const { spot } = stage;
  const looks = new Looks();
  /** @type {(which: number, now: number) => void} */
  const turn = (which, now) => {
    spot.show(bitmaps[tabs[which].dataset.look ?? ""]);
    looks.show(which, now);
    for (const [i, tab] of tabs.entries()) tab.setAttribute("aria-pressed", String(i === which));
    spot.holder.setAttribute("aria-label", tabs[which].dataset.name ?? "");
  };
  ask("");
  stage.fit();
  const first = () => spot.show(bitmaps.reference);
  const { onsets } = await showSteps(clock, [{ draw: () => stage.clear(), ms: BLANK_MS }, { draw: first }], signal);
  attention.begin();
  turn(0, onsets[1]);
  ask("trial.look");
  const stop = new AbortController();
  const until = either(signal, stop.signal);
  moving(stage, until); // before `switching`, so that the end of a drag is no tap
  switching(tabs, spot.holder, turn, until);
  await clock.until((now) => looks.enough(leastLookMs, now), signal);
  ask("trial.question");
  const choices = buttons.filter((button) => button.closest(".in-place"));
  const { choice, at, input } = await chosen(choices, signal);
  stop.abort();
  looks.end(at);
  const measured = { reaction_ms: at - onsets[1], focus_lost: attention.lost, layout: "in-place" };
  return { choice, input, ...measured, ...looks.columns, ...stage.seen };
}

// How many columns and rows of patches a layout has. A triangle has the reference above, in the middle.
takePart({ show, layouts: { row: [3, 1], triangle: [2, 2] }, inPlace: true, timed: false });
