/** One choice of two, by key, mouse, pen or touch; with the time of the press, as the hardware event has it. */

import { either } from "./signals.js";

const KEYS = [
  ["KeyF", "ArrowLeft"],
  ["KeyJ", "ArrowRight"],
];

/**
 * Wait for a choice; `buttons` are the first and the second.
 *
 * @param {HTMLButtonElement[]} buttons
 * @param {AbortSignal} signal
 * @returns {Promise<{choice: string, at: number, input: string}>}
 */
export function chosen(buttons, signal) {
  return new Promise((resolve, reject) => {
    const stop = new AbortController();
    const until = either(signal, stop.signal);
    /** @type {PointerEvent | null} */
    let pressed = null; // when and with what a button was pressed; the click comes later
    /** @type {(button: HTMLButtonElement, at: number, input: string) => void} */
    const choose = (button, at, input) => {
      stop.abort();
      for (const one of buttons) one.disabled = true;
      resolve({ choice: button.dataset.choice ?? "", at, input });
    };
    for (const button of buttons) {
      button.disabled = false;
      button.addEventListener("pointerdown", (event) => (pressed = event), { signal: until });
      button.addEventListener(
        "click",
        (event) => {
          // A click without a position comes from Enter or Space on the button.
          if (event.detail === 0) choose(button, event.timeStamp, "keyboard");
          else choose(button, (pressed ?? event).timeStamp, (pressed ?? event).pointerType || "mouse");
        },
        { signal: until },
      );
    }
    document.addEventListener(
      "keydown",
      (event) => {
        const which = KEYS.findIndex((codes) => codes.includes(event.code));
        const elsewhere =
          event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey || isDialogOpen();
        if (which < 0 || elsewhere) return;
        event.preventDefault();
        choose(buttons[which], event.timeStamp, "keyboard");
      },
      { signal: until },
    );
    signal.addEventListener("abort", () => reject(signal.reason), { signal: stop.signal });
  });
}

/**
 * Wait until a button is pressed, or Space or Enter anywhere.
 *
 * @param {HTMLButtonElement} button
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function goAhead(button, signal) {
  return new Promise((resolve, reject) => {
    const stop = new AbortController();
    const until = either(signal, stop.signal);
    const go = () => {
      stop.abort();
      resolve();
    };
    button.addEventListener("click", go, { signal: until });
    document.addEventListener(
      "keydown",
      (event) => {
        const meant = ["Space", "Enter", "NumpadEnter"].includes(event.code) && !event.repeat && !isDialogOpen();
        const other = event.target instanceof Element ? event.target.closest("button") : null;
        if (!meant || (other ?? button) !== button) return;
        event.preventDefault();
        go();
      },
      { signal: until },
    );
    signal.addEventListener("abort", () => reject(signal.reason), { signal: stop.signal });
  });
}

const isDialogOpen = () => Boolean(document.querySelector("dialog[open]"));
