/** How a session ended, kept for reloads of this tab alone: the rest is forgotten in this browser when a session ends. */

const name = (person) => `bapps-collect ended ${person}`;

export function keepEnd(person, { outcome, code, redirect, submit }) {
  try {
    sessionStorage.setItem(name(person), JSON.stringify({ address: location.search, outcome, code, redirect, submit }));
  } catch {
    // a browser that keeps nothing: the code is on the page
  }
}

/** The end that this tab has seen at this address, or null. */
export function keptEnd(person) {
  try {
    const found = JSON.parse(sessionStorage.getItem(name(person)));
    return found?.address === location.search ? found : null;
  } catch {
    return null;
  }
}
