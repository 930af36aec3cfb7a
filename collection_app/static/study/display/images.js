/** Patches, fetched and decoded before they are needed: an ImageBitmap can be drawn within a frame. */

import { backoff, pause } from "../delivery/api.js";

const AT_ONCE = 4;
const MOST_BYTES = 96 * 2 ** 20; // of decoded pictures: 32 trials of 512x512, and of photographs one or two
const TRIES = 3; // at a picture, while the study answers
const PATIENCE_MS = 20_000; // since the last bytes came, however many are still to come

/** @typedef {{bitmap: ImageBitmap, proof: string | null}} Decoded */
/** @typedef {{sha256: string, share: number, promise: Promise<Decoded>, resolve: (decoded: Decoded) => void, reject: (problem: Error) => void}} Entry */

/** A picture that cannot be fetched, though the study answers. */
export class Unshowable extends Error {}

/**
 * Fetch and decode a patch, without colour conversion, so that its numbers reach the canvas as they are. The proof says
 * when the server gave the patch out, and goes back with the answer.
 *
 * @param {string} address
 * @param {(share: number) => void} [told] of how much has come, after each piece
 * @returns {Promise<Decoded>}
 */
export async function decoded(address, told = () => {}) {
  const late = new AbortController();
  const wait = () => setTimeout(() => late.abort(), PATIENCE_MS);
  let timer = wait();
  try {
    const reply = await fetch(address, { signal: late.signal });
    if (!reply.ok || !reply.body) throw new Error(`status ${reply.status}`);
    const proof = reply.headers.get("Picture-Proof");
    const length = Number(reply.headers.get("Content-Length"));
    let bytes = 0;
    const reader = reply.body.getReader();
    /** @type {BlobPart[]} */
    const parts = [];
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      clearTimeout(timer);
      timer = wait();
      parts.push(part.value);
      bytes += part.value.length;
      if (length) told(Math.min(1, bytes / length));
    }
    const bitmap = await createImageBitmap(new Blob(parts, { type: "image/png" }), {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
    return { bitmap, proof };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The trials whose pictures are kept at once, of those to come: the first one, and as many more as have room, decoded.
 *
 * @template {{width: number, height: number, reference: string | null}} T
 * @param {T[]} trials
 */
export function withinBudget(trials) {
  let bytes = 0;
  const beyond = trials.findIndex(({ width, height, reference }, i) => {
    bytes += 4 * width * height * (reference ? 3 : 2);
    return i > 0 && bytes > MOST_BYTES;
  });
  return beyond < 0 ? trials : trials.slice(0, beyond);
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

  /**
   * How much of a trial's pictures has come, from 0 to 1.
   *
   * @param {Trial} trial
   */
  share(trial) {
    const shares = patches(trial).map((sha256) => this.#entries.get(sha256)?.share ?? 0);
    return shares.reduce((sum, share) => sum + share, 0) / shares.length;
  }

  /** @param {string} sha256 */
  #ask(sha256) {
    const entry = /** @type {Entry} */ ({ sha256, share: 0 });
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
        entry.resolve(await decoded(`/images/${entry.sha256}`, (share) => (entry.share = share)));
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
