/** One tab at a time: the last one opened works, the others rest. */

/**
 * Take the study for this tab; `lost` is called when another tab takes it. Needs a secure context; without one the
 * server still takes every answer only once.
 *
 * @param {string} person
 * @param {() => void} lost
 */
export function takeStudy(person, lost) {
  navigator.locks
    ?.request(`bapps-collect ${person}`, { steal: true }, () => new Promise(() => {}))
    .catch((error) => error.name === "AbortError" && lost());
}
