/** Answers on their way: kept first, sent in the background, forgotten only after the server has said that it has
 * them. Reloads, crashes and lost networks only delay them; a second sending is harmless, since ids are made here. */

import { backoff, Problem, pause, Unreachable } from "./api.js";

const AT_ONCE = 50;
export const STUCK_MS = 120_000;

/** Events: "change" (of `waiting` or `stuck`), "receipt" (detail: the server's receipt of one answer), "over" (the
 * server has ended the session). */
export class Queue extends EventTarget {
  waiting = 0; // answers that the server does not have yet
  stuck = false; // whether the oldest has waited for two minutes
  #store;
  #api;
  #stop = new AbortController();
  #wake = () => {};
  /** @type {number | null} */
  #oldest = null;
  /** @type {Promise<void> | null} */
  #running = null;

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   */
  constructor(store, api) {
    super();
    this.#store = store;
    this.#api = api;
  }

  /** Begin to send what is kept, and go on until `stop`. */
  start() {
    this.#running ??= this.#run();
    this.#watch();
  }

  /** Send nothing any more. */
  stop() {
    this.#stop.abort();
    this.#wake();
  }

  /**
   * Keep an answer and send it in the background; done when it is kept.
   *
   * @param {Answer} answer
   */
  async put(answer) {
    await this.#store.add(answer);
    this.#count(this.waiting + 1, this.#oldest ?? answer.answered_at);
    this.#wake();
  }

  /** Done when nothing waits. */
  async drained() {
    await /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const look = () => {
          if (this.waiting) return;
          this.removeEventListener("change", look);
          resolve();
        };
        this.addEventListener("change", look);
        look();
      })
    );
  }

  async #run() {
    let tries = 0;
    let atOnce = AT_ONCE;
    while (!this.#stop.signal.aborted) {
      /** @type {Promise<void>} */
      const woken = new Promise((resolve) => {
        this.#wake = resolve;
      });
      const waiting = (await this.#store.answers()).filter((answer) => !answer.problem);
      this.#count(waiting.length, waiting[0]?.sent.answered_at ?? null);
      if (!waiting.length) {
        await woken;
        continue;
      }
      const some = waiting.slice(0, atOnce).map((answer) => answer.sent);
      try {
        const { receipts, over } = await this.#api.post("/api/answers", { answers: some }, { keepalive: true });
        await this.#settle(some, receipts);
        if (over) this.dispatchEvent(new Event("over"));
        [tries, atOnce] = [0, AT_ONCE];
      } catch (problem) {
        const unfit = problem instanceof Problem && [400, 413].includes(problem.status);
        if (unfit && some.length === 1) {
          await this.#store.refuse(some[0], problem.message);
        } else if (unfit) {
          atOnce = 1; // one of them is at fault: find it
        } else {
          const least = problem instanceof Unreachable ? problem.retryAfterMs : 0;
          await pause(Math.max(least, backoff(tries)), this.#stop.signal);
          tries += 1;
        }
      }
    }
  }

  /**
   * @param {Answer[]} some
   * @param {AnswerReceipt[]} receipts
   */
  async #settle(some, receipts) {
    const byId = new Map(receipts.map((receipt) => [receipt.id, receipt]));
    await this.#store.remove(
      some.filter(({ id }) => ["stored", "known"].includes(byId.get(id)?.status ?? "")).map(({ id }) => id),
    );
    for (const answer of some) {
      const receipt = byId.get(answer.id);
      if (receipt?.status === "refused") await this.#store.refuse(answer, receipt.problem);
    }
    for (const receipt of receipts) this.dispatchEvent(new CustomEvent("receipt", { detail: receipt }));
  }

  #watch() {
    const timer = setInterval(() => this.#count(this.waiting, this.#oldest), 1000);
    this.#stop.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /**
   * @param {number} waiting
   * @param {number | null} oldest
   */
  #count(waiting, oldest) {
    const stuck = waiting > 0 && oldest !== null && Date.now() - oldest > STUCK_MS;
    const changed = waiting !== this.waiting || stuck !== this.stuck;
    [this.waiting, this.#oldest, this.stuck] = [waiting, waiting ? oldest : null, stuck];
    if (changed) this.dispatchEvent(new Event("change"));
  }
}
