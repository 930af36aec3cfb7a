// Keeps the numbers of a page fresh: fetches it again now and then, and puts its live parts in place of the old ones.

const EVERY_MS = 5000;
/** @param {Document} page */
const asOf = (page) => page.querySelector(".asof time")?.textContent ?? "";
/** @type {HTMLButtonElement | null} */
const pause = document.querySelector("[data-pause]");
let paused = false;

async function refresh() {
  const parts = [...document.querySelectorAll("[data-live]")];
  // Who is on a link in them with the keyboard would lose their place.
  if (paused || document.hidden || parts.some((part) => part.contains(document.activeElement))) return;
  try {
    const reply = await fetch(location.href);
    if (reply.redirected) return location.reload(); // the login is over
    if (!reply.ok) return;
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (asOf(page) < asOf(document)) return; // of another process, which summed up earlier
    const fresh = page.querySelectorAll("[data-live]");
    for (const [index, part] of parts.entries()) part.replaceChildren(...fresh[index].childNodes);
  } catch {
    // The server does not answer now; the time on the page tells how old the numbers are.
  }
}

if (pause) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    if (!paused) refresh();
  });
  setInterval(refresh, EVERY_MS);
}
