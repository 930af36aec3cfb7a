/** Patches, fetched and decoded before they are needed: an ImageBitmap can be drawn within a frame. */

import { backoff, pause } from "../delivery/api.js";

const AT_ONCE = 4;
const TRIES = 3; // at a picture, while the study answers
const PATIENCE_MS = 20_000;

/** @typedef {{bitmap: ImageBitmap, proof: string | null}} Decoded */
/** @typedef {{sha256: string, promise: Promise<Decoded>, resolve: (decoded: Decoded) => void, reject: (problem: Error) => void}} Entry */

/** A picture that cannot be fetched, though the study answers. */
export class Unshowable extends Error {}

/**
 * Fetch and decode a patch, without colour conversion, so that its numbers reach the canvas as they are. The proof says
 * when the server gave the patch out, and goes back with the answer.
 *
 * @param {string} address
 * @returns {Promise<Decoded>}
 */
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
  /** @type {Map<string, Entry>} */
  #entries = new Map(); // by name
  /** @type {Entry[]} */
  #line = [];
  #busy = 0;
  #studyAnswers;

  /**
   * `studyAnswers()` tells whether the study can be reached now: if not, no picture is given up.
   *
   * @param {() => Promise<boolean>} studyAnswers
   */
  constructor(studyAnswers) {
    this.#studyAnswers = studyAnswers;
  }

  /**
   * Fetch the patches of coming trials in their order, and let go of all others.
   *
   * @param {Trial[]} trials
   */
  prefetch(trials) {
    const wanted = new Set(trials.flatMap(patches));
    for (const [sha256, entry] of this.#entries) {
      if (wanted.has(sha256)) continue;
      this.#entries.delete(sha256);
      entry.promise.then(({ bitmap }) => bitmap.close()).catch(() => {});
    }
    this.#line = this.#line.filter((entry) => this.#entries.get(entry.sha256) === entry);
    for (const sha256 of wanted) if (!this.#entries.has(sha256)) this.#ask(sha256);
    this.#next();
  }

  /**
   * The patches of a trial, by their names, and their proofs; throws Unshowable if one cannot be fetched.
   *
   * @param {Trial} trial
   * @returns {Promise<{bitmaps: Record<string, ImageBitmap>, proofs: string[]}>}
   */
  async of(trial) {
    const { reference, left, right } = trial;
    const named = Object.entries({ reference, left, right }).flatMap(([name, sha256]) =>
      sha256 ? [{ name, sha256 }] : [],
    );
    const pictures = await Promise.all(
      named.map(({ sha256 }) => (this.#entries.get(sha256) ?? this.#ask(sha256)).promise),
    );
    const bitmaps = Object.fromEntries(named.map(({ name }, i) => [name, pictures[i].bitmap]));
    return { bitmaps, proofs: pictures.flatMap(({ proof }) => proof ?? []) };
  }

  /** @param {string} sha256 */
  #ask(sha256) {
    const entry = /** @type {Entry} */ ({ sha256 });
    entry.promise = new Promise((resolve, reject) => {
      Object.assign(entry, { resolve, reject });
    });
    entry.promise.catch(() => {}); // who needs it hears of it
    this.#entries.set(sha256, entry);
    this.#line.push(entry);
    this.#next();
    return entry;
  }

  async #next() {
    if (this.#busy >= AT_ONCE) return;
    const entry = this.#line.shift();
    if (!entry) return;
    this.#busy += 1;
    let failed = 0;
    for (let tries = 0; this.#entries.get(entry.sha256) === entry; tries += 1) {
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

/** @param {Trial} trial */
const patches = ({ reference, left, right }) => [reference ?? [], left, right].flat();
