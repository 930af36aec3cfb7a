/** How a session ended, kept for reloads of this tab alone: the rest is forgotten in this browser when a session ends. */

const name = (person) => `bapps-collect ended ${person}`;

export function keepEnd(person, { outcome, code, redirect, submit }) {
  const end = { address: location.search, outcome, code, redirect, submit };
  try {
    sessionStorage.setItem(name(person), JSON.stringify(end));
  } catch {
    history.replaceState({ ...history.state, [name(person)]: end }, ""); // where a browser allows nothing else
  }
}

/** The end that this tab has seen at this address, or null. */
export function keptEnd(person) {
  let found = history.state?.[name(person)];
  try {
    found ??= JSON.parse(sessionStorage.getItem(name(person)));
  } catch {
    // forbidden
  }
  return found?.address === location.search ? found : null;
}
