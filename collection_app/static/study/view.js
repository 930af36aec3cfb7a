/** The document: one part of it is shown at a time. */

import { hasText, text } from "./texts.js";

/**
 * The element with an id, which the page has.
 *
 * @param {string} id
 * @returns {any} of the kind that the template says
 */
export const by = (id) => document.getElementById(id);

/**
 * Show a part, and put the focus on its heading so that readers and keys begin there.
 *
 * @param {string} name
 */
export function show(name) {
  document.body.dataset.page = name;
  /** @type {NodeListOf<HTMLElement>} */
  const sections = document.querySelectorAll("[data-page]:not(body)");
  for (const section of sections) {
    section.hidden = section.dataset.page !== name;
  }
  /** @type {HTMLElement | null} */
  const heading = document.querySelector(`section[data-page="${name}"] h1`);
  scrollTo(0, 0);
  heading?.focus({ preventScroll: true });
}

/**
 * A text into an element.
 *
 * @param {string} id
 * @param {string} name
 * @param {Record<string, string | number>} [values]
 */
export function say(id, name, values) {
  by(id).textContent = name ? text(name, values) : "";
}

/**
 * Wait for a click on one of some elements; gives its id.
 *
 * @param {string[]} ids
 * @returns {Promise<string>}
 */
export function clicked(...ids) {
  return new Promise((resolve) => {
    const stop = new AbortController();
    for (const id of ids) {
      by(id).addEventListener(
        "click",
        () => {
          stop.abort();
          resolve(id);
        },
        { signal: stop.signal },
      );
    }
  });
}

/**
 * Wait for a form to be sent, which is then not sent by the browser.
 *
 * @param {string} id
 * @returns {Promise<FormData>}
 */
export function submitted(id) {
  return new Promise((resolve) => {
    by(id).addEventListener(
      "submit",
      (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        resolve(new FormData(by(id)));
      },
      { once: true },
    );
  });
}

/**
 * @param {number} done
 * @param {number} total
 */
export function progress(done, total) {
  by("progress").hidden = false;
  const bar = by("progress").querySelector("progress");
  [bar.max, bar.value] = [total, done];
  say("progress-text", "bar.progress", { done, total });
}

/**
 * How many answers wait, and what to do where they have waited for too long.
 *
 * @param {{waiting: number, stuck: boolean}} queue
 * @param {string} contact
 */
export function waiting({ waiting: count, stuck }, contact) {
  by("waiting").hidden = !count;
  if (count) say("waiting", "bar.waiting", { count });
  if (by("stuck").hidden === stuck) by("stuck").hidden = !stuck;
  if (stuck) say("stuck-text", "stuck.text", { count, contact });
}

/** The parts of the page of trials. */
export const trialView = {
  choices: /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("[data-choice]")]),
  gateButton: /** @type {HTMLButtonElement} */ (by("gate-go")),
  nextButton: /** @type {HTMLButtonElement} */ (by("next")),

  /**
   * Say what to do; only a question lets names and buttons of choices be seen.
   *
   * @param {string} name
   */
  ask(name) {
    say("prompt", name);
    delete by("prompt").dataset.right;
    by("stage").toggleAttribute("data-asking", name.endsWith("question"));
    by("stage").toggleAttribute("data-looking", name.endsWith(".look"));
    by("stage").removeAttribute("data-told");
    this.nextButton.hidden = true;
  },

  /**
   * How much of the next pictures has come, from 0 to 1; null once nobody waits for them.
   *
   * @param {number | null} share
   */
  fetching(share) {
    by("fetching").hidden = share === null;
    by("fetching").value = share ?? 0;
  },

  /** @param {string} reason */
  gate(reason) {
    by("gate").hidden = !reason;
    if (!reason) return;
    this.ask("");
    say("gate-title", `trial.${reason}`);
    say("gate-text", `trial.${reason}_text`);
    this.gateButton.focus({ preventScroll: true });
  },

  /**
   * @param {string} name
   * @param {boolean} [right]
   */
  feedback(name, right) {
    this.ask(name && `trial.${name}`);
    by("stage").toggleAttribute("data-told", Boolean(name));
    if (right !== undefined) by("prompt").dataset.right = right;
    this.nextButton.hidden = !name || name === "feedback_wait";
    this.nextButton.focus({ preventScroll: true });
  },
};

/**
 * The last page of a session.
 *
 * @param {import("./delivery/ended.js").End} session
 */
export function showEnd(session) {
  say("done-title", `done.${session.outcome}_title`);
  const later = session.outcome === "unsuitable_device" && (session.trials ?? 0) > 0;
  say("done-text", later ? "done.unsuitable_later_text" : `done.${session.outcome}_text`);
  by("done-code").hidden = !session.code;
  by("code").textContent = session.code ?? "";
  by("copy").addEventListener("click", async () => {
    await navigator.clipboard?.writeText(session.code ?? "");
    say("copy", "done.copied");
  });
  leadAway(session);
  by("progress").hidden = by("withdraw").hidden = true;
  show("done");
}

/**
 * The way back to the platform: an address, or a form that it needs.
 *
 * @param {import("./delivery/ended.js").End} session
 */
function leadAway({ redirect, submit }) {
  const form = by("departure");
  form.hidden = !redirect && !submit;
  form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
    if (!redirect) return;
    event.preventDefault();
    location.assign(redirect);
  });
  if (!submit) return;
  form.action = submit.action;
  for (const [name, value] of Object.entries(submit.fields)) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
}

/**
 * What the server refused, in the study's language where there are words for it.
 *
 * @param {string} name
 * @param {string} [message]
 */
export function showProblem(name, message) {
  if (hasText(`problem.${name}_title`)) say("problem-title", `problem.${name}_title`);
  by("problem-text").textContent = hasText(`problem.${name}`) ? text(`problem.${name}`) : (message ?? "");
  by("problem-again").addEventListener("click", () => location.reload());
  by("progress").hidden = by("withdraw").hidden = true;
  show("problem");
}
