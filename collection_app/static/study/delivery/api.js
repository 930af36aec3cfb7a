/** Requests to /api, told apart by what can be done about a failure. */

const PATIENCE_MS = 20_000; // a request that takes longer is given up and sent again

/** The server understood, and did not do it. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{error: string, message: string, contact?: string}} content
   */
  constructor(status, content) {
    super(content.message);
    this.status = status;
    this.name = content.error;
    this.contact = content.contact;
  }
}

/** No answer, or one that says to come again: the same request may be sent later, all are harmless to repeat. */
export class Unreachable extends Error {
  /** @param {string} [why] the study's own word for it, if it was heard */
  constructor(retryAfterMs = 0, why = "") {
    super("no answer");
    this.retryAfterMs = retryAfterMs;
    this.why = why;
  }
}

export class Api {
  #token = "";
  /** @type {{key: string, parameters: Record<string, string>, browser: string | null} | null} */
  #arrival = null;

  /**
   * Arrive; doing so again with the same key gives the same session, and a fresh token.
   *
   * @param {string} key
   * @param {Record<string, string>} parameters
   * @param {string | null} browser
   * @returns {Promise<SessionState>}
   */
  async arrive(key, parameters, browser) {
    this.#arrival = { key, parameters, browser };
    const session = await this.#send("POST", "/api/arrivals", this.#arrival);
    this.#token = session.token;
    return session;
  }

  /** @param {string} path */
  get = (path) => this.#speaking("GET", path);
  /** @type {(path: string, body?: object, options?: {keepalive?: boolean}) => Promise<any>} */
  post = (path, body = {}, options = {}) => this.#speaking("POST", path, body, options);

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @param {{keepalive?: boolean}} [options]
   */
  async #speaking(method, path, body, options) {
    try {
      return await this.#send(method, path, body, options);
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.status !== 401 || !this.#arrival) throw problem;
      const { key, parameters, browser } = this.#arrival;
      await this.arrive(key, parameters, browser); // the token is too old, or the key is new
      return this.#send(method, path, body, options);
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @param {{keepalive?: boolean}} [options]
   */
  async #send(method, path, body, { keepalive = false } = {}) {
    /** @type {Record<string, string>} */
    const headers = { "Content-Type": "application/json" };
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    const late = new AbortController(); // Chromium has had AbortSignal.timeout since 103, Safari since 16
    const timer = setTimeout(() => late.abort(), PATIENCE_MS);
    let reply, content;
    try {
      reply = await fetch(path, {
        method,
        headers,
        keepalive,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        signal: late.signal,
      });
      content = await content_of(reply);
    } catch {
      throw new Unreachable(); // no network, or cut off midway
    } finally {
      clearTimeout(timer);
    }
    if (reply.ok && content) return content;
    if (reply.status >= 500 || reply.status === 408 || (reply.status === 429 && path !== "/api/arrivals")) {
      throw new Unreachable(1000 * (Number(reply.headers.get("Retry-After")) || 0), content?.error);
    }
    if (reply.status < 400) throw new Unreachable(); // a page that asks to log in to some network
    throw new Problem(reply.status, content ?? { error: "refused", message: `status ${reply.status}` });
  }
}

/**
 * What the study's server says is an object with a sentence in it; null for what others between us say in its place.
 *
 * @param {Response} reply
 */
async function content_of(reply) {
  const said = await reply.text();
  try {
    const content = JSON.parse(said);
    return reply.ok || typeof content?.message === "string" ? content : null;
  } catch {
    return null;
  }
}

/**
 * How long to wait before try number `tries`: doubling from half a second to half a minute, with some chance in it.
 *
 * @param {number} tries
 */
export function backoff(tries, random = Math.random) {
  return Math.min(500 * 2 ** tries, 30_000) * (0.75 + 0.5 * random());
}

/**
 * Wait, but not longer than until the network is back or `signal` aborts.
 *
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
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

/**
 * Do `work` until it is not Unreachable; `waiting(true, why)` is told of every try that fails, `waiting(false)` after.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @param {(is: boolean, why?: string) => void} [waiting]
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function patiently(work, waiting = () => {}, signal) {
  for (let tries = 0; ; tries += 1) {
    try {
      const result = await work();
      if (tries) waiting(false);
      return result;
    } catch (problem) {
      if (!(problem instanceof Unreachable)) throw problem;
      waiting(true, problem.why);
      // What the study knows to take a moment is not asked about more and more seldom.
      const again = problem.why === "asking" ? problem.retryAfterMs : backoff(tries);
      await pause(Math.max(problem.retryAfterMs, again), signal);
      signal?.throwIfAborted();
    }
  }
}
