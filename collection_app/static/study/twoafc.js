/** A 2AFC trial: the reference in the middle, two candidates, no time limit. */

import { chosen } from "./choice.js";
import { showSteps } from "./display/frames.js";

const BLANK_MS = 300; // so that nobody sees one trial's pictures turn into the next one's

/** Show a trial and wait for the choice; gives the columns of an answer that it measures. */
export async function twoafc({ stage, clock, attention, buttons, ask, bitmaps, signal }) {
  const names = ["left", "reference", "right"];
  const draw = () => stage.patches.forEach((patch, i) => patch.show(bitmaps[names[i]]));
  ask("");
  stage.fit();
  const { onsets } = await showSteps(clock, [{ draw: () => stage.clear(), ms: BLANK_MS }, { draw }], signal);
  attention.begin();
  ask("trial.twoafc_question");
  const { choice, at, input } = await chosen(buttons, signal);
  return { choice, input, reaction_ms: at - onsets[1], focus_lost: attention.lost };
}
