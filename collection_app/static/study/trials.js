/** The run of trials: shows each, keeps its answer, gives feedback where it is practice, and asks before going on
 * after a pause. It ends when no trial is left. */

import { goAhead } from "./choice.js";
import { randomId } from "./delivery/store.js";
import { isMagnified } from "./display/attention.js";
import { Unshowable, withinBudget } from "./display/images.js";

const AHEAD = 24; // trials whose patches are fetched before they are needed
const REST_AFTER = 50;
const FEEDBACK_WITHIN_MS = 4000;
const SLOW_AFTER_MS = 300; // from then on somebody who waits for pictures is told so
const TELL_EVERY_MS = 100;

/**
 * What is a task's own; see `takePart` of main.js.
 *
 * @typedef {object} Task
 * @property {(at: Moment) => Promise<Measured>} show
 * @property {import("./display/stage.js").Layouts} layouts
 * @property {boolean} [inPlace]
 * @property {boolean} timed
 */

/**
 * What a task shows a trial with.
 *
 * @typedef {object} Moment
 * @property {import("./display/stage.js").Stage} stage
 * @property {import("./display/frames.js").FrameClock} clock
 * @property {import("./display/attention.js").Attention} attention
 * @property {HTMLButtonElement[]} buttons
 * @property {(name: string) => void} ask
 * @property {Record<string, ImageBitmap>} bitmaps
 * @property {ExposureTimes} exposure
 * @property {number} leastLookMs
 * @property {AbortSignal} signal
 */

/** @typedef {Pick<Answer, "choice" | "input" | "reaction_ms" | "focus_lost"> & Partial<Answer>} Measured */

/**
 * What trials work with.
 *
 * @typedef {object} Surroundings
 * @property {Task} task
 * @property {ExposureTimes} exposure
 * @property {number} leastLookMs
 * @property {import("./display/stage.js").Stage} stage
 * @property {import("./display/frames.js").FrameClock} clock
 * @property {import("./display/attention.js").Attention} attention
 * @property {import("./display/images.js").Images} images
 * @property {import("./delivery/queue.js").Queue} queue
 * @property {{changed: () => Promise<boolean>, check: () => Promise<void>}} display
 * @property {typeof import("./view.js").trialView} view
 * @property {(slot: number) => Promise<unknown>} spoil
 */

export class Trials {
  #at;
  #since = 0; // trials since somebody was last asked whether to go on

  /** @param {Surroundings} at */
  constructor(at) {
    this.#at = at;
  }

  /**
   * Run trials, given in their order; `done()` is called after each.
   *
   * @param {Trial[]} trials
   * @param {{first: string, done: () => void, signal: AbortSignal}} how
   */
  async run(trials, { first, done, signal }) {
    const { images, stage, view, display } = this.#at;
    for (const [i, trial] of trials.entries()) {
      images.prefetch(withinBudget(trials.slice(i, i + AHEAD)));
      while ((await display.changed()) || !stage.lay(trial)) await display.check();
      await this.#gate(this.#reason(trial, trials[i - 1], first), signal);
      const pictures = await this.#loaded(trial);
      signal.throwIfAborted();
      if (!pictures) {
        await this.#at.spoil(trial.slot);
        done();
        continue;
      }
      const answer = { ...(await this.#answered(trial, pictures.bitmaps, signal)), pictures: pictures.proofs };
      view.ask("");
      const receipt = trial.training ? this.#receipt(answer.id) : null;
      await this.#at.queue.put(answer);
      done();
      this.#since += 1;
      if (receipt) await this.#feedback(answer, receipt, signal);
      stage.clear();
    }
    images.prefetch([]);
  }

  /**
   * Why to ask before a trial, as the name of a text, or nothing.
   *
   * @param {Trial} trial
   * @param {Trial | undefined} before
   * @param {string} first
   */
  #reason(trial, before, first) {
    if (!before) {
      if (first === "again") return "ready_again";
      return trial.attempt > 1 ? "ready_repeat" : trial.training ? "ready_training" : "ready";
    }
    if (this.#at.attention.left) return "ready_again";
    if (before.training && !trial.training) return "ready";
    if (before.attempt < trial.attempt) return "ready_repeat";
    return this.#since >= REST_AFTER ? "ready_rest" : "";
  }

  /**
   * @param {string} reason
   * @param {AbortSignal} signal
   */
  async #gate(reason, signal) {
    const { view, attention } = this.#at;
    if (!reason) return;
    view.gate(reason);
    await goAhead(view.gateButton, signal);
    view.gate("");
    attention.back();
    this.#since = 0;
  }

  /**
   * The pictures of a trial and their proofs; null if one cannot be fetched.
   *
   * @param {Trial} trial
   */
  async #loaded(trial) {
    const { images, view } = this.#at;
    // Said once; the line that fills tells nobody who listens.
    let telling = setTimeout(() => {
      view.ask("trial.loading");
      const tell = () => {
        view.fetching(images.share(trial));
        telling = setTimeout(tell, TELL_EVERY_MS);
      };
      tell();
    }, SLOW_AFTER_MS);
    try {
      return await images.of(trial);
    } catch (problem) {
      if (problem instanceof Unshowable) return null;
      throw problem;
    } finally {
      clearTimeout(telling);
      view.fetching(null);
    }
  }

  /**
   * @param {Trial} trial
   * @param {Record<string, ImageBitmap>} bitmaps
   * @param {AbortSignal} signal
   */
  async #answered(trial, bitmaps, signal) {
    const { task, exposure, leastLookMs, stage, clock, attention, view } = this.#at;
    /** @param {string} name */
    const ask = (name) => view.ask(name);
    if (isMagnified()) attention.spoil();
    const buttons = view.choices;
    const moment = { stage, clock, attention, buttons, ask, bitmaps, exposure, leastLookMs, signal };
    const shown = await task.show(moment);
    const measured = Object.entries(shown).map(([name, value]) => [
      name,
      typeof value === "number" ? Math.max(0, Math.round(value * 1000) / 1000) : value,
    ]);
    return {
      id: randomId(),
      slot: trial.slot,
      attempt: trial.attempt,
      answered_at: Date.now(),
      device_pixel_ratio: devicePixelRatio,
      scale: stage.scale,
      .../** @type {Measured} */ (Object.fromEntries(measured)),
      focus_lost: shown.focus_lost || isMagnified(),
    };
  }

  /**
   * The server's receipt of an answer, or null if none comes in time.
   *
   * @param {string} id
   * @returns {Promise<AnswerReceipt | null>}
   */
  #receipt(id) {
    const { queue } = this.#at;
    return new Promise((resolve) => {
      /** @param {Event} event */
      const hear = (event) => {
        const { detail } = /** @type {CustomEvent<AnswerReceipt>} */ (event);
        if (detail.id === id) settle(detail);
      };
      const timer = setTimeout(() => settle(null), FEEDBACK_WITHIN_MS);
      /** @param {AnswerReceipt | null} receipt */
      const settle = (receipt) => {
        clearTimeout(timer);
        queue.removeEventListener("receipt", hear);
        resolve(receipt);
      };
      queue.addEventListener("receipt", hear);
    });
  }

  /**
   * @param {Answer} answer
   * @param {Promise<AnswerReceipt | null>} coming
   * @param {AbortSignal} signal
   */
  async #feedback(answer, coming, signal) {
    const { view } = this.#at;
    view.feedback("feedback_wait");
    const receipt = await coming;
    if (!receipt?.expected) view.feedback("feedback_none");
    else if (receipt.expected === answer.choice) view.feedback("feedback_right", true);
    else {
      const where = this.#at.stage.mode === "in-place" ? "_in_place" : "";
      view.feedback(`feedback_wrong_${receipt.expected}${where}`, false);
    }
    await goAhead(view.nextButton, signal);
    view.feedback("");
  }
}
