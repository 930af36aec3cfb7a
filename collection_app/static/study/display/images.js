/** Patches, fetched and decoded before they are needed: an ImageBitmap can be drawn within a frame. */

import { backoff, pause } from "../delivery/api.js";

const AT_ONCE = 4;
const TRIES = 3; // at a picture, while the study answers
const PATIENCE_MS = 20_000;

/** A picture that cannot be had, though the study answers. */
export class Unshowable extends Error {}

/** Fetch and decode a patch, without colour conversion, so that its numbers reach the canvas as they are. Gives
 * {bitmap, proof}: the proof says when the server gave the patch out, and goes back with the answer. */
export async function decoded(address) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE_MS);
  try {
    const reply = await fetch(address, { signal: late.signal });
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    const proof = reply.headers.get("Picture-Proof");
    const bitmap = await createImageBitmap(await reply.blob(), {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
    return { bitmap, proof };
  } finally {
    clearTimeout(timer);
  }
}

export class Images {
  #found = new Map(); // name to a promise of its bitmap and proof
  #line = [];
  #busy = 0;
  #studyAnswers;

  /** `studyAnswers()` tells whether the study can be reached now: if not, no picture is given up. */
  constructor(studyAnswers) {
    this.#studyAnswers = studyAnswers;
  }

  /** Fetch the patches of coming trials in their order, and let go of all others. */
  want(trials) {
    const wanted = new Set(trials.flatMap(patches));
    for (const [sha256, found] of this.#found) {
      if (wanted.has(sha256)) continue;
      this.#found.delete(sha256);
      found.promise.then(({ bitmap }) => bitmap.close()).catch(() => {});
    }
    this.#line = this.#line.filter((entry) => this.#found.get(entry.sha256) === entry);
    for (const sha256 of wanted) if (!this.#found.has(sha256)) this.#ask(sha256);
    this.#next();
  }

  /** The patches of a trial: {bitmaps, proofs}, the bitmaps by the names of the patches; throws Unshowable if one
   * cannot be had. */
  async of(trial) {
    const names = ["reference", "left", "right"].filter((name) => trial[name]);
    const found = await Promise.all(
      names.map((name) => (this.#found.get(trial[name]) ?? this.#ask(trial[name])).promise),
    );
    const bitmaps = Object.fromEntries(names.map((name, i) => [name, found[i].bitmap]));
    return { bitmaps, proofs: found.map(({ proof }) => proof).filter(Boolean) };
  }

  #ask(sha256) {
    const entry = { sha256 };
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    entry.promise.catch(() => {}); // who needs it hears of it
    this.#found.set(sha256, entry);
    this.#line.push(entry);
    this.#next();
    return entry;
  }

  async #next() {
    if (this.#busy >= AT_ONCE || !this.#line.length) return;
    this.#busy += 1;
    const entry = this.#line.shift();
    let failed = 0;
    for (let tries = 0; this.#found.get(entry.sha256) === entry; tries += 1) {
      try {
        entry.resolve(await decoded(`/images/${entry.sha256}`));
        break;
      } catch {
        if (await this.#studyAnswers()) failed += 1;
        if (failed >= TRIES) {
          entry.reject(new Unshowable());
          break;
        }
        await pause(backoff(tries));
      }
    }
    this.#busy -= 1;
    this.#next();
  }
}

const patches = (trial) => [trial.reference, trial.left, trial.right].filter(Boolean);
