/**
 * @file All that this device knows, and what it wants from the server next. Pure: frames in, wishes out.
 *
 * `apply` takes a frame of the server. What follows from it is asked for by the caller: `takePulls` (gaps, pending,
 * behind), `takeMarks` (what was applied and read), `watched` (whose presence matters).
 *
 * @typedef {import("./types.js").Entry} Entry
 */
import { Conversation } from "./conversation.js";
import { directConversation, peerOf } from "./ids.js";

const PULLS_AT_ONCE = 4;
const PULL_LIMIT = 200;
const OLDER_LIMIT = 60;
/** After a pull that was refused or brought nothing new. */
const PULL_PAUSE_S = 2;
/** Items of a conversation kept in memory while it is not looked at. */
const ITEMS_MAX = 1000;
export const TYPING_S = 6;

export class ChatState {
  /** @type {Map<string, Conversation>} */
  conversations = new Map();
  /** @type {Map<string, {state: string, last_seen_ms?: number}>} */
  presence = new Map();
  /** By conversation, by user: until when. @type {Map<string, Map<string, number>>} */
  typing = new Map();
  /** Opaque, from the last `synced`; for the next hello of this page. @type {string|undefined} */
  since;
  isSynced = false;
  /** The conversation that is looked at: it is never trimmed. @type {string|undefined} */
  active;

  /** By conversation and direction: the pull under way. @type {Map<string, object>} */
  #pulls = new Map();
  /** @type {Map<string, number>} */
  #pauses = new Map();

  /** @param {string} me User id. */
  constructor(me) {
    this.me = me;
  }

  /** A connection begins: answers to what was asked on the last one will not come. */
  connected() {
    this.isSynced = false;
    this.#pulls.clear();
    this.#pauses.clear();
    this.presence.clear();
    this.typing.clear();
    // Marks may have been lost with the connection, or with the server's last second.
    for (const { marked, log, read } of this.conversations.values()) {
      if (log.cursor > 0 || read > 0) Object.assign(marked, { delivered: 0, read: 0 });
    }
  }

  /**
   * @param {object} frame Any frame of the server; an unknown one changes nothing.
   * @param {number} now_ms
   * @returns {Entry[]} The entries that were applied, in order.
   */
  apply(frame, now_ms) {
    switch (frame.type) {
      case "conversations":
        for (const row of frame.conversations) this.#row(row);
        return [];
      case "message":
        return this.offer(frame, now_ms);
      case "synced":
        this.since = frame.since;
        this.isSynced = true;
        for (const { conversation, head } of frame.pending ?? []) this.#exists(conversation, head);
        return [];
      case "behind":
        for (const { conversation, head } of frame.conversations) {
          this.#exists(conversation, head);
          this.#wanted.add(conversation);
        }
        return [];
      case "marks":
        for (const mark of frame.marks) this.conversations.get(frame.conversation)?.takeMark(mark);
        return [];
      case "presence":
        this.presence.set(frame.user, { state: frame.state, last_seen_ms: frame.last_seen_ms });
        return [];
      case "typing":
        this.#typing(frame.conversation, frame.user, frame.on ? now_ms + TYPING_S * 1000 : 0);
        return [];
      default:
        return [];
    }
  }

  /** Wanted before `synced`: seen to be missing, not merely about to be replayed. @type {Set<string>} */
  #wanted = new Set();

  /**
   * An entry: pushed, replayed, or the own one that an ack confirms.
   * @param {Entry} entry
   * @returns {Entry[]} It, if it was applied.
   */
  offer(entry, now_ms = 0) {
    const conversation = this.#known(entry.conversation);
    const outcome = conversation.log.offer(entry);
    if (outcome === "gap") this.#wanted.add(entry.conversation);
    if (outcome !== "applied") return [];
    this.#applied(conversation, [entry], now_ms);
    return [entry];
  }

  /**
   * The pulls to make now; each ends by `pulled` or `pullFailed`, or with the connection.
   * @param {number} now_ms
   * @returns {{conversation: string, after: number, limit: number}[]}
   */
  takePulls(now_ms) {
    const taken = [];
    for (const [id, { log }] of this.conversations) {
      if (this.#pulls.size >= PULLS_AT_ONCE) break;
      if (!log.isBehind) this.#wanted.delete(id);
      if (!log.isBehind || !(this.isSynced || this.#wanted.has(id))) continue;
      if (this.#pulls.has(id) || (this.#pauses.get(id) ?? 0) > now_ms) continue;
      const pull = { conversation: id, after: log.cursor, limit: PULL_LIMIT };
      this.#pulls.set(id, pull);
      taken.push(pull);
    }
    return taken;
  }

  /**
   * The pull for older entries than the window has, or undefined if there are none or it is under way.
   * @param {string} id
   */
  takeOlder(id) {
    const log = this.conversations.get(id)?.log;
    if (!log?.hasOlder || this.#pulls.has(`older ${id}`)) return undefined;
    const pull = { conversation: id, before: log.low, limit: OLDER_LIMIT };
    this.#pulls.set(`older ${id}`, pull);
    return pull;
  }

  /** Whether older entries of a conversation are under way. */
  isLoadingOlder(id) {
    return this.#pulls.has(`older ${id}`);
  }

  /**
   * The answer to a pull.
   * @param {{conversation: string, after?: number, before?: number}} pull
   * @param {import("./types.js").Page} page
   * @param {number} now_ms
   * @returns {Entry[]} The entries that were applied (none for older ones).
   */
  pulled(pull, page, now_ms) {
    this.#ended(pull);
    const conversation = this.conversations.get(pull.conversation);
    if (!conversation) return [];
    if (pull.before !== undefined) {
      conversation.log.prependPage(page, pull.before);
      return [];
    }
    const before = conversation.log.cursor;
    const applied = conversation.log.applyPage(page);
    this.#applied(conversation, applied, now_ms);
    if (conversation.log.cursor === before && conversation.log.isBehind) this.#pause(pull, now_ms, PULL_PAUSE_S);
    return applied;
  }

  /** A pull was refused: later again. @param {{retry_after_s?: number}} error */
  pullFailed(pull, error, now_ms) {
    this.#ended(pull);
    this.#pause(pull, now_ms, error.retry_after_s ?? PULL_PAUSE_S);
  }

  /** Seconds until a paused pull may go on, or undefined. */
  nextPull_s(now_ms) {
    const due = [...this.#pauses].filter(([id, at]) => at > now_ms && this.conversations.get(id)?.log.isBehind);
    return due.length ? Math.max(0, Math.min(...due.map(([, at]) => at - now_ms)) / 1000) : undefined;
  }

  /** The user has seen all that is applied of a conversation. @returns {boolean} whether that is news. */
  readAll(id) {
    const conversation = this.conversations.get(id);
    return conversation !== undefined && conversation.moveRead(conversation.log.cursor);
  }

  /**
   * The marks that the server must be told, oldest debts first; called once a second at most.
   * @param {number} count At most so many.
   */
  takeMarks(count) {
    const frames = [];
    for (const [id, conversation] of this.conversations) {
      if (frames.length >= count) break;
      if (!conversation.isMarkDue) continue;
      const delivered = conversation.log.cursor;
      const read = Math.min(conversation.read, delivered);
      conversation.marked = { delivered, read: conversation.read };
      frames.push({ type: "mark", conversation: id, delivered, ...(read > 0 ? { read } : {}) });
    }
    return frames;
  }

  get areMarksDue() {
    return [...this.conversations.values()].some((conversation) => conversation.isMarkDue);
  }

  /** The conversations for a list: the newest activity first. */
  newestFirst() {
    const time = ({ preview }) => preview?.time_ms ?? 0;
    return [...this.conversations.values()].sort((one, other) => time(other) - time(one));
  }

  /** Whose presence is worth watching: the peers of direct conversations, newest first. @returns {string[]} */
  watched(count) {
    const peers = this.newestFirst().map(({ id }) => peerOf(id, this.me));
    return peers.filter((user) => user && user !== this.me).slice(0, count);
  }

  /** Who types in a conversation, by user id. */
  typists(id, now_ms) {
    return [...(this.typing.get(id) ?? [])].filter(([, until]) => until > now_ms).map(([user]) => user);
  }

  /** The conversation with a user, as the server would name it. */
  directWith(user) {
    return directConversation(this.me, user);
  }

  #row(row) {
    const known = this.conversations.get(row.conversation);
    if (known) known.merge(row);
    else this.conversations.set(row.conversation, new Conversation(this.me, row));
  }

  #known(id) {
    // The list's frame comes before the first entry; an ack of the first send into a new one may be earlier.
    if (!this.conversations.has(id)) {
      this.#row({ conversation: id, first: 1, head: 0, delivered: 0, read: 0, unread: 0 });
    }
    return this.conversations.get(id);
  }

  #exists(id, head) {
    const { log } = this.#known(id);
    log.head = Math.max(log.head, head);
  }

  #applied(conversation, entries, now_ms) {
    for (const entry of entries) {
      conversation.applied(entry);
      this.#typing(conversation.id, entry.sender, now_ms);
    }
    conversation.settleUnread();
    if (conversation.id !== this.active && conversation.log.items.length > ITEMS_MAX) {
      conversation.log.trim(ITEMS_MAX / 2);
    }
  }

  #typing(id, user, until_ms) {
    const typists = this.typing.get(id) ?? new Map();
    if (until_ms) typists.set(user, until_ms);
    else typists.delete(user);
    this.typing.set(id, typists);
  }

  #ended(pull) {
    this.#pulls.delete(pull.before === undefined ? pull.conversation : `older ${pull.conversation}`);
  }

  #pause(pull, now_ms, pause_s) {
    if (pull.before === undefined) this.#pauses.set(pull.conversation, now_ms + pause_s * 1000);
  }
}
