/**
 * @file What the user wrote and the server has not acknowledged: in order, one in flight per conversation.
 *
 * One unacknowledged send per conversation keeps a refused send from being overtaken by the next. Every item keeps
 * its client id over retries, reconnects and reloads, so the server stores it once. Pure: the caller transmits,
 * passes the time in and persists `save`'s list whenever something changed.
 *
 * @typedef {import("./types.js").Waiting} Waiting
 */

/** Refusals that a retry may mend; anything else is the user's to decide. */
const TEMPORARY = new Set(["rate_limited", "unavailable", "unauthenticated"]);
const INTERNAL_TRIES = 5;
/** The server answers within 10 s, if only by `unavailable`; after this long the send is repeated. */
export const ACK_S = 20;
const RETRY_MAX_S = 30;

export class Outbox {
  /** @type {Waiting[]} */
  #items;
  /** By conversation. @type {Map<string, {client_id: string, sent_ms: number}>} */
  #inFlight = new Map();
  /** By conversation: not before this time. @type {Map<string, number>} */
  #notBefore = new Map();
  #random;

  /**
   * @param {Waiting[]} items What `save` returned in an earlier life: those may have been transmitted.
   * @param {() => number} random
   */
  constructor(items = [], random = Math.random) {
    this.#items = items.map((item) => ({ ...item, tried: true }));
    this.#random = random;
  }

  get size() {
    return this.#items.length;
  }

  /** @param {Omit<Waiting, "tried"|"refusals">} send */
  add(send) {
    this.#items.push({ ...send, tried: false, refusals: 0 });
  }

  /** @param {string} conversation @returns {Waiting[]} */
  of(conversation) {
    return this.#items.filter((item) => item.conversation === conversation);
  }

  /** @param {string} client_id @returns {Waiting|undefined} */
  find(client_id) {
    return this.#items.find((item) => item.client_id === client_id);
  }

  /** The conversations with something unacknowledged. @returns {Set<string>} */
  conversations() {
    return new Set(this.#items.map((item) => item.conversation));
  }

  /**
   * Takes what may be transmitted now, at most one per conversation. Each returned item must be transmitted, or
   * `disconnected` called; `retry` is to be said if it was tried before.
   * @param {number} now_ms
   * @returns {{item: Waiting, retry: boolean}[]}
   */
  take(now_ms) {
    const taken = [];
    const seen = new Set();
    for (const item of this.#items) {
      if (item.failed || seen.has(item.conversation)) continue;
      seen.add(item.conversation);
      const flight = this.#inFlight.get(item.conversation);
      if (flight && now_ms - flight.sent_ms < ACK_S * 1000) continue;
      if ((this.#notBefore.get(item.conversation) ?? 0) > now_ms) continue;
      this.#inFlight.set(item.conversation, { client_id: item.client_id, sent_ms: now_ms });
      taken.push({ item: { ...item }, retry: item.tried });
      item.tried = true;
    }
    return taken;
  }

  /** Seconds until `take` may have something more, or undefined if only an event can change that. */
  nextTake_s(now_ms) {
    let least;
    for (const conversation of this.conversations()) {
      if (!this.of(conversation).some((item) => !item.failed)) continue;
      const flight = this.#inFlight.get(conversation);
      const at = Math.max(flight ? flight.sent_ms + ACK_S * 1000 : 0, this.#notBefore.get(conversation) ?? 0);
      if (at) least = Math.min(least ?? Infinity, Math.max(0, (at - now_ms) / 1000));
    }
    return least;
  }

  /** The entry is in the log: by an ack, or because it came back from there. @returns {Waiting|undefined} */
  confirmed(client_id) {
    const item = this.find(client_id);
    if (!item) return undefined;
    this.#items.splice(this.#items.indexOf(item), 1);
    this.#settled(item);
    this.#notBefore.delete(item.conversation);
    return item;
  }

  /**
   * The server refused a send.
   * @param {string} client_id
   * @param {{code: string, message: string, retry_after_s?: number}} error
   * @param {number} now_ms
   */
  refused(client_id, error, now_ms) {
    const item = this.find(client_id);
    if (!item) return;
    this.#settled(item);
    item.refusals += 1;
    if (TEMPORARY.has(error.code) || (error.code === "internal" && item.refusals < INTERNAL_TRIES)) {
      const ceiling_s = Math.min(RETRY_MAX_S, 0.5 * 2 ** item.refusals);
      const wait_s = Math.max(error.retry_after_s ?? 0, this.#random() * ceiling_s);
      this.#notBefore.set(item.conversation, now_ms + wait_s * 1000);
    } else {
      item.failed = { code: error.code, message: error.message };
    }
  }

  /** What was in flight has an unknown outcome: it is transmitted again, as a retry. */
  disconnected() {
    this.#inFlight.clear();
    this.#notBefore.clear();
  }

  /** The user wants a failed send tried once more: as a new last one of its conversation. */
  retry(client_id) {
    const item = this.find(client_id);
    if (!item?.failed) return;
    item.failed = undefined;
    item.refusals = 0;
    this.#items.splice(this.#items.indexOf(item), 1);
    this.#items.push(item);
  }

  /** The user gives a send up. One that may have been transmitted may yet appear in the log. */
  discard(client_id) {
    this.confirmed(client_id);
  }

  /** @returns {Waiting[]} For JSON, and for the constructor of the next life. */
  save() {
    return this.#items.map((item) => ({ ...item }));
  }

  #settled(item) {
    if (this.#inFlight.get(item.conversation)?.client_id === item.client_id) this.#inFlight.delete(item.conversation);
  }
}
