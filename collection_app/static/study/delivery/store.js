/** What this browser keeps: answers until the server has them, and where a person was. In IndexedDB, so that it
 * outlives the page and the browser. Where a browser forbids that, as some frames do, or loses it on the way, answers
 * stay in memory until they are sent, and where a person was stays with the page's entry in the history of the tab,
 * which outlives a reload. */

const NAME = "bapps-collect";
const OPEN_MS = 5000;
const WRITE_MS = 5000;
const BROWSER = "browser"; // beside the names of people, which are hashes

/** @typedef {{id: string, person: string, sent: Answer, problem?: string}} KeptAnswer */
/** @typedef {(...stores: any[]) => IDBRequest | void} Work */

/**
 * Open the store of one person in one study.
 *
 * @param {string} person
 */
export async function openStore(person) {
  try {
    return new Store(await database(), person);
  } catch {
    return new Store(null, person);
  }
}

/** @returns {Promise<IDBDatabase>} */
function database() {
  return within(OPEN_MS, (resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("answers", { keyPath: "id" }).createIndex("person", "person");
      asked.result.createObjectStore("kept");
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
    asked.onblocked = () => reject(new Error("blocked"));
  });
}

export class Store {
  /** @type {IDBDatabase | null} */
  #opened; // null where there is no database
  #person;
  /** @type {Map<string, KeptAnswer>} */
  #held = new Map(); // answers that could not be written down, by their ids
  /** @type {Record<string, any>} */
  #known = {}; // what is kept of the person, as far as it was seen
  /** @type {Set<string>} */
  #gone = new Set(); // ids of answers that the server has, and that could not be deleted

  /**
   * @param {IDBDatabase | null} opened
   * @param {string} person
   */
  constructor(opened, person) {
    this.#opened = opened;
    this.#person = person;
    this.lasting = Boolean(opened);
  }

  /** What is kept of the person: an object. */
  async kept() {
    const found = await this.#try("readonly", ["kept"], (kept) => kept.get(this.#person));
    this.#known = { ...(found ?? this.#known), ...history.state?.[this.#person] };
    return { ...this.#known };
  }

  /**
   * Keep more, or something else; gives all that is kept.
   *
   * @param {Record<string, any>} changes
   * @returns {Promise<Record<string, any>>}
   */
  async keep(changes) {
    const all = { ...(await this.kept()), ...changes };
    const done = await this.#try("readwrite", ["kept"], (kept) => kept.put(all, this.#person));
    this.#known = { ...all };
    const inHistory = done === undefined ? all : undefined; // the disk has it, so the history need not
    if (inHistory || history.state?.[this.#person]) {
      history.replaceState({ ...history.state, [this.#person]: inHistory }, "");
    }
    return all;
  }

  /** What this browser calls itself, whoever comes with it; made when it is first asked for, and null where nothing
   * outlives the page. */
  async browser() {
    const made = randomHex(16);
    const found = await this.#try("readwrite", ["kept"], (kept) => {
      const asked = kept.get(BROWSER);
      asked.onsuccess = () => asked.result ?? kept.put(made, BROWSER);
      return asked;
    });
    if (typeof found === "string") return found;
    return found ? made : null;
  }

  /**
   * All answers that are here, oldest first: `sent` is what goes to the server.
   *
   * @returns {Promise<KeptAnswer[]>}
   */
  async answers() {
    const written = await this.#try("readonly", ["answers"], (answers) => answers.index("person").getAll(this.#person));
    /** @type {KeptAnswer[]} */
    const all = written ?? [];
    const left = all.filter(({ id }) => !this.#held.has(id) && !this.#gone.has(id));
    return [...left, ...this.#held.values()].sort((a, b) => a.sent.answered_at - b.sent.answered_at);
  }

  /**
   * Keep an answer; done when it is on disk, or held where there is none.
   *
   * @param {Answer} sent
   */
  add(sent) {
    return this.#put({ id: sent.id, person: this.#person, sent });
  }

  /**
   * Forget answers that the server has.
   *
   * @param {string[]} ids
   */
  async remove(ids) {
    for (const id of ids) {
      this.#held.delete(id);
      this.#gone.add(id);
    }
    const done = await this.#try("readwrite", ["answers"], (answers) => ids.map((id) => answers.delete(id))[0]);
    if (done === DONE) for (const id of ids) this.#gone.delete(id);
  }

  /**
   * Keep an answer that the server will never take, with the reason; it is not sent again.
   *
   * @param {Answer} sent
   * @param {string} problem
   */
  refuse(sent, problem) {
    return this.#put({ id: sent.id, person: this.#person, sent, problem });
  }

  /** Forget the person: their key, where they were, and answers that nobody takes any more; and what the browser calls
   * itself, once nobody else is under way in it. */
  async forget() {
    this.#known = {};
    this.#held.clear();
    if (history.state?.[this.#person]) history.replaceState({ ...history.state, [this.#person]: undefined }, "");
    await this.#try("readwrite", ["kept", "answers"], (kept, answers) => {
      kept.delete(this.#person);
      const others = kept.count();
      others.onsuccess = () => others.result > 1 || kept.delete(BROWSER);
      const theirs = answers.index("person").openKeyCursor(this.#person);
      theirs.onsuccess = () => {
        if (!theirs.result) return;
        answers.delete(theirs.result.primaryKey);
        theirs.result.continue();
      };
    });
  }

  /** @param {KeptAnswer} answer */
  async #put(answer) {
    this.#held.set(answer.id, answer); // seen from now on, whatever becomes of the disk
    const done = await this.#try("readwrite", ["answers"], (answers) => answers.put(answer));
    if (done !== undefined) this.#held.delete(answer.id);
  }

  /**
   * What a transaction gives, DONE if that is nothing; undefined if there is no database. One that has died, as iOS
   * does it to pages that were long in the background, is opened once more.
   *
   * @param {IDBTransactionMode} mode
   * @param {string[]} stores
   * @param {Work} work
   * @returns {Promise<any>}
   */
  async #try(mode, stores, work) {
    for (let tries = 0; this.#opened && tries < 2; tries += 1) {
      try {
        if (tries) this.#opened = await database();
        return (await transact(this.#opened, mode, stores, work)) ?? DONE;
      } catch {
        if (tries) this.lasting = false;
      }
    }
    return undefined;
  }
}

const DONE = Object.freeze({});

/**
 * @param {IDBDatabase} opened
 * @param {IDBTransactionMode} mode
 * @param {string[]} stores
 * @param {Work} work
 * @returns {Promise<any>}
 */
function transact(opened, mode, stores, work) {
  return within(WRITE_MS, (resolve, reject) => {
    const transaction = opened.transaction(stores, mode, { durability: "strict" });
    const asked = /** @type {IDBRequest | undefined} */ (work(...stores.map((name) => transaction.objectStore(name))));
    transaction.oncomplete = () => resolve(asked?.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

/**
 * A promise that is given up after a while: a database that has died may never say so.
 *
 * @template T
 * @param {number} ms
 * @param {(resolve: (value: T) => void, reject: (error: unknown) => void) => void} work
 * @returns {Promise<T>}
 */
function within(ms, work) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer")), ms);
    work(
      (found) => {
        clearTimeout(timer);
        resolve(found);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

/**
 * Random bytes in hex; works without a secure context too.
 *
 * @param {number} bytes
 */
export function randomHex(bytes) {
  const numbers = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(numbers, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A random UUID (RFC 9562, version 4); crypto.randomUUID needs a secure context. */
export function randomId() {
  const hex = randomHex(16);
  const variant = ((parseInt(hex[16], 16) & 0x3) | 0x8).toString(16);
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20),
  ];
  return parts.join("-");
}
