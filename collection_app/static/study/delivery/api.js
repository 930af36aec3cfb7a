/** Requests to /api, told apart by what can be done about a failure. */

const PATIENCE_MS = 20_000; // a request that takes longer is given up and sent again

/** The server understood, and did not do it. */
export class Problem extends Error {
  constructor(status, content) {
    super(content.message);
    this.status = status;
    this.name = content.error;
    this.contact = content.contact;
  }
}

/** No answer, or one that says to come again: the same request may be sent later, all are harmless to repeat. */
export class Unreachable extends Error {
  constructor(retryAfterMs = 0) {
    super("no answer");
    this.retryAfterMs = retryAfterMs;
  }
}

export class Api {
  #token = "";
  #arrival = null;

  /** Arrive; doing so again with the same key gives the same session, and a fresh token. */
  async arrive(key, parameters) {
    this.#arrival = { key, parameters };
    const session = await this.#send("POST", "/api/arrivals", this.#arrival);
    this.#token = session.token;
    return session;
  }

  get = (path) => this.#speaking("GET", path);
  post = (path, body = {}, options = {}) => this.#speaking("POST", path, body, options);

  async #speaking(method, path, body, options) {
    try {
      return await this.#send(method, path, body, options);
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.status !== 401 || !this.#arrival) throw problem;
      await this.arrive(this.#arrival.key, this.#arrival.parameters); // the token is too old, or the key is new
      return this.#send(method, path, body, options);
    }
  }

  async #send(method, path, body, { keepalive = false } = {}) {
    const headers = { "Content-Type": "application/json" };
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    let reply, content;
    try {
      reply = await fetch(path, {
        method,
        headers,
        keepalive,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      content = await reply.json();
    } catch {
      throw new Unreachable(); // no network, cut off midway, or something between us and the server answered
    }
    if (reply.ok) return content;
    if (reply.status >= 500 || reply.status === 408 || (reply.status === 429 && path !== "/api/arrivals")) {
      throw new Unreachable(1000 * (Number(reply.headers.get("Retry-After")) || 0));
    }
    throw new Problem(reply.status, content);
  }
}

/** How long to wait before try number `tries`: doubling from half a second to half a minute, with some chance in it. */
export function backoff(tries, random = Math.random) {
  return Math.min(500 * 2 ** tries, 30_000) * (0.75 + 0.5 * random());
}

/** Wait, but not longer than until the network is back or `signal` aborts. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    signal?.addEventListener("abort", done);
  });
}

/** Do `work` until it is not Unreachable; `waiting(true)` is told when the first try fails, `waiting(false)` after. */
export async function patiently(work, waiting = () => {}, signal = undefined) {
  for (let tries = 0; ; tries += 1) {
    try {
      const result = await work();
      if (tries) waiting(false);
      return result;
    } catch (problem) {
      if (!(problem instanceof Unreachable)) throw problem;
      waiting(true);
      await pause(Math.max(problem.retryAfterMs, backoff(tries)), signal);
      signal?.throwIfAborted();
    }
  }
}
