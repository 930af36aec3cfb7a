/** What this browser keeps: answers until the server has them, and where a person was. In IndexedDB, so that it
 * outlives the page and the browser; in memory only where a browser forbids that, as in some frames. */

const NAME = "bapps-collect";

/** Open the store of one person in one study. */
export async function openStore(person) {
  try {
    return new Store(await database(), person);
  } catch {
    return new MemoryStore();
  }
}

function database() {
  return new Promise((resolve, reject) => {
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

class Store {
  lasting = true;

  constructor(opened, person) {
    this.opened = opened;
    this.person = person;
  }

  /** What is kept of the person: an object. */
  kept() {
    return this.#in("readonly", ["kept"], (kept) => kept.get(this.person)).then((found) => found ?? {});
  }

  /** Keep more, or something else; gives all that is kept. */
  async keep(changes) {
    const all = { ...(await this.kept()), ...changes };
    await this.#in("readwrite", ["kept"], (kept) => kept.put(all, this.person));
    return all;
  }

  /** All answers that are here, oldest first, each {id, person, sent, problem}: `sent` as it goes to the server. */
  async answers() {
    const found = await this.#in("readonly", ["answers"], (answers) => answers.index("person").getAll(this.person));
    return found.sort((a, b) => a.sent.answered_at - b.sent.answered_at);
  }

  /** Keep an answer; done when it is on disk. */
  add(sent) {
    return this.#in("readwrite", ["answers"], (answers) => answers.put({ id: sent.id, person: this.person, sent }));
  }

  /** Forget answers that the server has. */
  remove(ids) {
    return this.#in("readwrite", ["answers"], (answers) => ids.map((id) => answers.delete(id)).at(-1));
  }

  /** Keep an answer that the server will never take, with the reason; it is not sent again. */
  refuse(sent, problem) {
    return this.#in("readwrite", ["answers"], (answers) =>
      answers.put({ id: sent.id, person: this.person, sent, problem }),
    );
  }

  /** Forget the person: their key, where they were, and answers that nobody takes any more. */
  forget() {
    return this.#in("readwrite", ["kept", "answers"], (kept, answers) => {
      kept.delete(this.person);
      const theirs = answers.index("person").openKeyCursor(this.person);
      theirs.onsuccess = () => {
        if (!theirs.result) return;
        answers.delete(theirs.result.primaryKey);
        theirs.result.continue();
      };
    });
  }

  #in(mode, stores, work) {
    return new Promise((resolve, reject) => {
      const transaction = this.opened.transaction(stores, mode, { durability: "strict" });
      const asked = work(...stores.map((name) => transaction.objectStore(name)));
      transaction.oncomplete = () => resolve(asked?.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }
}

class MemoryStore {
  lasting = false;
  #kept = {};
  #answers = new Map();

  async kept() {
    return { ...this.#kept };
  }

  async keep(changes) {
    return (this.#kept = { ...this.#kept, ...changes });
  }

  async answers() {
    return [...this.#answers.values()];
  }

  async add(sent) {
    this.#answers.set(sent.id, { id: sent.id, sent });
  }

  async remove(ids) {
    ids.forEach((id) => this.#answers.delete(id));
  }

  async refuse(sent, problem) {
    this.#answers.set(sent.id, { id: sent.id, sent, problem });
  }

  async forget() {
    this.#kept = {};
    this.#answers.clear();
  }
}

/** Random bytes in hex; works without a secure context too. */
export function randomHex(bytes) {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A random UUID (RFC 9562, version 4); crypto.randomUUID needs a secure context. */
export function randomId() {
  const hex = randomHex(16);
  const variant = ((parseInt(hex[16], 16) & 0x3) | 0x8).toString(16);
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, variant + hex.slice(17, 20), hex.slice(20)];
  return parts.join("-");
}
