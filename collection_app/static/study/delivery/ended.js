/** How a session ended, kept for reloads of this tab alone: the rest is forgotten in this browser when a session ends. */

/** @param {string} person */
const name = (person) => `bapps-collect ended ${person}`;

/** @typedef {Pick<SessionState, "outcome" | "code" | "redirect" | "submit"> & {trials?: number}} End */

/**
 * @param {string} person
 * @param {End} session
 */
export function keepEnd(person, { outcome, code, redirect, submit }) {
  const end = { address: location.search, outcome, code, redirect, submit };
  try {
    sessionStorage.setItem(name(person), JSON.stringify(end));
  } catch {
    history.replaceState({ ...history.state, [name(person)]: end }, ""); // where a browser allows nothing else
  }
}

/**
 * The end that this tab has seen at this address, or null.
 *
 * @param {string} person
 * @returns {End | null}
 */
export function keptEnd(person) {
  let found = history.state?.[name(person)];
  try {
    found ??= JSON.parse(sessionStorage.getItem(name(person)) ?? "null");
  } catch {
    // forbidden
  }
  return found?.address === location.search ? found : null;
}
