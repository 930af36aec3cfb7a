/** 2AFC: the reference in the middle, two candidates, no time limit. */

import { chosen } from "../../../static/study/choice.js";
import { showSteps } from "../../../static/study/display/frames.js";
import { takePart } from "../../../static/study/main.js";

const BLANK_MS = 300; // so that nobody sees one trial's pictures turn into the next one's

/**
 * Show a trial and wait for the choice; gives the columns of an answer that it measures.
 *
 * @param {import("../../../static/study/trials.js").Moment} moment
 */
async function show({ stage, clock, attention, buttons, ask, bitmaps, signal }) {
  const names = ["left", "reference", "right"];
  const draw = () => {
    for (const [i, name] of names.entries()) stage.patches[i].show(bitmaps[name]);
  };
  ask("");
  stage.fit();
  const { onsets } = await showSteps(clock, [{ draw: () => stage.clear(), ms: BLANK_MS }, { draw }], signal);
  attention.begin();
  ask("trial.question");
  const { choice, at, input } = await chosen(buttons, signal);
  return { choice, input, reaction_ms: at - onsets[1], focus_lost: attention.lost };
}

// How many columns and rows of patches a layout has. A triangle has the reference above, in the middle.
takePart({ show, layouts: { row: [3, 1], triangle: [2, 2] }, timed: false });
