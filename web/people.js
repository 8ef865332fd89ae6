/** @file Names of people: what conversations and searches said, the rest asked for in batches. */

const BATCH = 100;
const PAUSE_MS = 5000;

export class People {
  #names = new Map();
  #missing = new Set();
  #asked = new Set();
  #request;
  #onChange;

  /**
   * @param {(method: string, path: string, options?: object) => Promise<any>} request
   * @param {() => void} onChange Names became known.
   */
  constructor(request, onChange) {
    this.#request = request;
    this.#onChange = onChange;
  }

  /** @param {{id: string, name: string}} user */
  learn({ id, name }) {
    if (name) this.#names.set(id, name);
  }

  /** The name, or "…" until it is known: then it is asked for. */
  name(id) {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    if (id && !this.#asked.has(id)) {
      if (this.#missing.size === 0) queueMicrotask(() => this.#ask());
      this.#missing.add(id);
    }
    return "…";
  }

  /** By name, or a whole e-mail address. @returns {Promise<{id: string, name: string}[]>} */
  async search(text) {
    const { users } = await this.#request("GET", "/user-service/users", { query: { search: text } });
    users.forEach((user) => this.learn(user));
    return users;
  }

  async #ask() {
    const ids = [...this.#missing];
    this.#missing.clear();
    ids.forEach((id) => this.#asked.add(id));
    for (let start = 0; start < ids.length; start += BATCH) {
      const batch = ids.slice(start, start + BATCH);
      try {
        const { users } = await this.#request("GET", "/user-service/users", { query: { ids: batch.join() } });
        users.forEach((user) => this.learn(user));
        batch.filter((id) => !this.#names.has(id)).forEach((id) => this.#names.set(id, "Unknown"));
      } catch {
        setTimeout(() => batch.forEach((id) => this.#asked.delete(id)), PAUSE_MS);
      }
    }
    this.#onChange();
  }
}
