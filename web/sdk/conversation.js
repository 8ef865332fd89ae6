/**
 * @file One conversation: its log, and the numbers beside it (read, unread, marks of others). Pure.
 *
 * @typedef {import("./types.js").Entry} Entry
 * @typedef {import("./types.js").Row} Row
 */
import { ConversationLog } from "./log.js";

export class Conversation {
  #me;
  /** `unread` contains the texts up to this seq. */
  #countedTo;
  /** `unread` was lowered while part of what it counts was not in the window. */
  #isEstimate = false;

  /** @param {string} me @param {Row} row */
  constructor(me, row) {
    this.#me = me;
    this.id = row.conversation;
    this.log = new ConversationLog(me, row.delivered, row.first);
    this.read = row.read;
    this.unread = row.unread;
    this.#countedTo = row.head;
    /** What others have, by user. @type {Map<string, {delivered: number, read: number}>} */
    this.marks = new Map();
    /** What was told to the server, or must be repeated after the next hello. */
    this.marked = { delivered: row.delivered, read: row.read };
    this.merge(row);
  }

  /** Takes what the server states anew; numbers only grow. @param {Row} row */
  merge(row) {
    this.title = row.title;
    this.role = row.role;
    this.members = row.members;
    this.muted = row.muted ?? false;
    if (row.last && row.last.seq >= (this.last?.seq ?? 0)) this.last = { conversation: this.id, ...row.last };
    this.log.setFirst(row.first);
    // One who was removed is told the removal's seq as the head, and nothing exists beyond it.
    this.log.head = this.isRemoved ? Math.max(row.head, this.log.cursor) : Math.max(row.head, this.log.head);
    if (row.peer) {
      this.peer = { user: row.peer.user, name: row.peer.name };
      this.takeMark(row.peer);
    }
    if (row.head >= this.#countedTo) {
      this.#isEstimate = false;
      // Counted by the server up to its head as of `row.read`; entries above it may be here already.
      this.unread = row.unread + this.log.countOthers(Math.max(row.head, row.read), this.log.cursor);
      this.#countedTo = Math.max(row.head, this.log.cursor);
      const read = this.read;
      this.read = row.read;
      this.moveRead(Math.max(read, row.read));
    } else {
      this.moveRead(row.read);
    }
  }

  /** Whether the user is no longer a member. */
  get isRemoved() {
    return this.role === "none";
  }

  /**
   * An entry was applied: what follows for the counters. To be called in order, then `settleUnread` once (later
   * entries of the same page are in the window already, and not yet counted).
   * @param {Entry} entry
   */
  applied(entry) {
    if (entry.seq >= (this.last?.seq ?? 0)) this.last = entry;
    const isNew = entry.seq > this.#countedTo;
    this.#countedTo = Math.max(this.#countedTo, entry.seq);
    const isOwn = entry.sender === this.#me;
    if (isOwn && entry.kind !== "member" && entry.kind !== "group") this.#raiseRead(entry.seq);
    else if (isNew && !isOwn && entry.kind === "text" && entry.seq > this.read) this.unread += 1;
  }

  /** The user has read up to here, says this device or another. @returns {boolean} whether that is news. */
  moveRead(seq) {
    const isNews = this.#raiseRead(seq);
    this.settleUnread();
    return isNews;
  }

  #raiseRead(seq) {
    if (!(seq > this.read)) return false;
    if (seq >= this.log.head) {
      this.unread = 0;
    } else {
      this.unread = Math.max(0, this.unread - this.log.countOthers(this.read, seq));
      this.#isEstimate = true;
    }
    this.read = seq;
    return true;
  }

  /** Counts anew what could only be estimated, once all that is unread is in the window. */
  settleUnread() {
    const { log, read } = this;
    if (!this.#isEstimate || log.low > read + 1 || log.cursor < this.#countedTo) return;
    this.unread = log.countOthers(read, log.cursor);
    this.#isEstimate = false;
  }

  /** Another user's watermarks. @param {{user: string, delivered?: number, read?: number}} mark */
  takeMark({ user, delivered = 0, read = 0 }) {
    if (user === this.#me && !this.id.includes(`${user}:${user}`)) {
      this.moveRead(read);
      return;
    }
    const known = this.marks.get(user) ?? { delivered: 0, read: 0 };
    const merged = { delivered: Math.max(known.delivered, delivered, read), read: Math.max(known.read, read) };
    this.marks.set(user, merged);
  }

  /** How far an own entry got: `sent`, `delivered` (direct only) or `read` (in a group: by every other member). */
  tick(seq) {
    const others = [...this.marks].filter(([user]) => user !== this.#me).map(([, mark]) => mark);
    const readers = others.filter((mark) => mark.read >= seq).length;
    if (this.id.startsWith("d:")) {
      if (readers > 0 || this.peer?.user === this.#me) return "read";
      return others.some((mark) => mark.delivered >= seq) ? "delivered" : "sent";
    }
    return this.members > 1 && readers >= this.members - 1 ? "read" : "sent";
  }

  /** Whether the server does not know yet how far this device is. */
  get isMarkDue() {
    return this.log.cursor > this.marked.delivered || this.read > this.marked.read;
  }

  /** The newest thing to say about this conversation in a list: as it stands now if it is in the window. */
  get preview() {
    const newest = this.log.items.at(-1);
    return this.last && this.last.seq > this.log.cursor ? this.last : (newest ?? this.last);
  }
}
