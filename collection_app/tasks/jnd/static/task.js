/** JND: a cross, a patch, a gap, a patch, each from one frame to another; then same or different. */

import { chosen } from "../../../static/study/choice.js";
import { showSteps } from "../../../static/study/display/frames.js";
import { takePart } from "../../../static/study/main.js";

const CROSS_MS = 500;

/**
 * Show a trial and wait for the choice; gives the columns of an answer that it measures.
 *
 * @param {import("../../../static/study/trials.js").Moment} moment
 */
async function show({ stage, clock, attention, buttons, ask, bitmaps, exposure, signal }) {
  const [patch] = stage.patches;
  ask("trial.watch");
  stage.fit();
  attention.begin();
  const shown = await showSteps(
    clock,
    [
      { draw: () => patch.cross(), ms: CROSS_MS },
      { draw: () => patch.show(bitmaps.left), ms: exposure.first_ms },
      { draw: () => patch.clear(), ms: exposure.gap_ms },
      { draw: () => patch.show(bitmaps.right), ms: exposure.second_ms },
      { draw: () => patch.clear() },
    ],
    signal,
  );
  const focusLost = attention.lost;
  ask("trial.question");
  const { choice, at, input } = await chosen(buttons, signal);
  return { choice, input, focus_lost: focusLost, ...measured(shown, at) };
}

/**
 * Columns of an answer from onsets of cross, first patch, gap, second patch, and question.
 *
 * @param {Pick<import("../../../static/study/display/frames.js").Shown, "onsets" | "times" | "period">} shown
 * @param {number} answeredAt
 */
export function measured({ onsets, times, period }, answeredAt) {
  const [, first, gap, second, question] = onsets;
  /** @param {number} ms */
  const frames = (ms) => Math.round(ms / period);
  const seen = times.filter((time) => time >= first);
  return {
    reaction_ms: answeredAt - question,
    first_ms: gap - first,
    gap_ms: second - gap,
    second_ms: question - second,
    frame_ms: period,
    frames: frames(gap - first) + frames(question - second),
    dropped_frames: frames(question - first) - (seen.length - 1),
  };
}

takePart({ show, layouts: { row: [1, 1] }, timed: true });
