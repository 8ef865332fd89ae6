/**
 * @file One conversation's log as this device holds it: a window [low, cursor] without holes, and what it shows.
 *
 * The cursor rule is here: the next seq is applied, an earlier one dropped, a later one means a gap that a pull
 * fills. Pages state their texts as of a head, so an edit, deletion or reaction changes a text only if its seq is
 * above what the text already contains (`asOf`). Pure: no clock, no socket.
 *
 * @typedef {import("./types.js").Entry} Entry
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").Page} Page
 */

export class ConversationLog {
  #me;
  /** @type {Map<number, Item>} */
  #bySeq = new Map();
  /** By the seq they are about, rising. All of them after `low`, so a shown text's are complete. @type {Map<number, Entry[]>} */
  #effects = new Map();

  /** What is shown, rising by seq. @type {Item[]} */
  items = [];

  /**
   * @param {string} me User id of the reader.
   * @param {number} cursor Applied up to here; entries below come by pages only.
   * @param {number} first The lowest seq that may be read.
   */
  constructor(me, cursor, first) {
    this.#me = me;
    this.first = first;
    this.cursor = Math.max(cursor, first - 1);
    this.low = this.cursor + 1;
    /** The highest seq known to exist. */
    this.head = this.cursor;
  }

  /** Whether something newer is known that is not applied. */
  get isBehind() {
    return this.head > this.cursor;
  }

  /** Whether older entries may be read that are not in the window. */
  get hasOlder() {
    return this.low > this.first;
  }

  /** @param {number} seq @returns {Item|undefined} */
  item(seq) {
    return this.#bySeq.get(seq);
  }

  /**
   * Takes a live or replayed entry, or the own one that an ack confirms.
   * @param {Entry} entry
   * @returns {"applied"|"dropped"|"gap"}
   */
  offer(entry) {
    this.head = Math.max(this.head, entry.seq);
    if (entry.seq <= this.cursor) return "dropped";
    if (entry.seq > this.cursor + 1) return "gap";
    this.#append(entry, entry.seq);
    return "applied";
  }

  /**
   * Takes the answer to a pull `after` the cursor; the cursor may have moved on meanwhile.
   * @param {Page} page
   * @returns {Entry[]} The entries that were applied.
   */
  applyPage(page) {
    this.setFirst(page.first);
    this.head = Math.max(this.head, page.head);
    const applied = [];
    const entries = new Map(page.messages.map((entry) => [entry.seq, entry]));
    for (;;) {
      const next = this.cursor + 1;
      const entry = entries.get(next);
      const skipped = entry ? undefined : (page.skip ?? []).find(([from, to]) => from <= next && next <= to);
      if (entry) {
        this.#append(entry, Math.max(page.head, entry.seq));
        applied.push(entry);
      } else if (skipped) {
        this.cursor = skipped[1];
      } else {
        return applied;
      }
    }
  }

  /**
   * Takes the answer to a pull `before` that seq; an answer that no longer fits the window is dropped.
   * @param {Page} page
   * @param {number} before
   * @returns {boolean} Whether the window grew.
   */
  prependPage(page, before) {
    this.setFirst(page.first);
    this.head = Math.max(this.head, page.head);
    if (before !== this.low) return false;
    const entries = new Map(page.messages.map((entry) => [entry.seq, entry]));
    const older = [];
    for (;;) {
      const next = this.low - 1;
      const entry = entries.get(next);
      const skipped = entry ? undefined : (page.skip ?? []).find(([from, to]) => from <= next && next <= to);
      if (entry) {
        older.unshift(entry);
        this.low = next;
      } else if (skipped) {
        this.low = Math.max(skipped[0], this.first);
      } else {
        break;
      }
    }
    if (!page.more && this.low > this.first && this.low === before) this.low = this.first; // nothing older after all
    // Entries above the page's head may be applied already (the page was read before they were pushed).
    older.filter(isEffect).forEach((entry) => this.#index(entry));
    const items = older.filter(isShown).map((entry) => this.#show(entry, Math.max(page.head, entry.seq)));
    for (const item of items) {
      for (const effect of this.#effects.get(item.seq) ?? []) this.#fold(item, effect);
    }
    this.items = items.concat(this.items);
    return this.low < before;
  }

  /** The lowest seq that may be read changed (a new membership): what is below is gone for this reader. */
  setFirst(first) {
    this.first = first;
    if (this.low < first) this.#dropBelow(first);
    if (this.cursor < first - 1) this.cursor = first - 1;
    this.low = Math.max(this.low, Math.min(first, this.cursor + 1));
    this.head = Math.max(this.head, this.cursor);
  }

  /** Forgets the oldest so that about `count` items stay; they can be paged in again. */
  trim(count) {
    if (this.items.length > count) this.#dropBelow(this.items[this.items.length - count].seq);
  }

  /** How many texts of others the window has in (after, upTo]. */
  countOthers(after, upTo) {
    let count = 0;
    for (let i = this.items.length - 1; i >= 0 && this.items[i].seq > after; i -= 1) {
      const { seq, kind, sender } = this.items[i];
      if (seq <= upTo && kind === "text" && sender !== this.#me) count += 1;
    }
    return count;
  }

  #dropBelow(seq) {
    this.items = this.items.filter((item) => item.seq >= seq);
    for (const known of this.#bySeq.keys()) if (known < seq) this.#bySeq.delete(known);
    for (const about of this.#effects.keys()) if (about < seq) this.#effects.delete(about);
    this.low = seq;
  }

  #append(entry, asOf) {
    this.cursor = entry.seq;
    this.head = Math.max(this.head, entry.seq);
    if (isShown(entry)) {
      this.items.push(this.#show(entry, asOf));
    } else if (isEffect(entry)) {
      const item = this.#bySeq.get(entry.ref);
      if (item) this.#fold(item, entry);
      this.#index(entry);
    } // else hidden, or of a kind that this client does not know: applied, and nothing to see
  }

  #index(entry) {
    const list = this.#effects.get(entry.ref) ?? [];
    list.push(entry);
    list.sort((one, other) => one.seq - other.seq);
    this.#effects.set(entry.ref, list);
  }

  /** @returns {Item} */
  #show(entry, asOf) {
    const item = {
      seq: entry.seq,
      kind: entry.kind,
      sender: entry.sender,
      client_id: entry.client_id,
      body: entry.edited?.body ?? entry.body ?? {},
      ref: entry.ref,
      time_ms: entry.time_ms,
      edited_ms: entry.edited?.time_ms,
      deleted: entry.deleted === true,
      reactions: new Map(Object.entries(entry.reactions ?? {}).map(([emoji, known]) => [emoji, { ...known }])),
      asOf,
    };
    this.#bySeq.set(item.seq, item);
    return item;
  }

  /** Lets an effect change the text it is about, unless the text contains it already. */
  #fold(item, effect) {
    if (effect.seq <= item.asOf) return;
    item.asOf = effect.seq;
    if (item.deleted) return;
    if (effect.kind === "edit") {
      item.body = effect.body;
      item.edited_ms = effect.time_ms;
    } else if (effect.kind === "delete") {
      item.deleted = true;
      item.body = {};
      item.edited_ms = undefined;
      item.reactions.clear();
    } else {
      this.#react(item, effect);
    }
  }

  #react(item, effect) {
    const { emoji, on = true } = effect.body;
    if (typeof emoji !== "string") return;
    // Counts are of people, and a reaction may be stated twice: what the same person said last decides.
    const earlier = (this.#effects.get(item.seq) ?? []).filter(
      (known) =>
        known.kind === "reaction" &&
        known.seq < effect.seq &&
        known.sender === effect.sender &&
        known.body.emoji === emoji,
    );
    if ((earlier.at(-1)?.body.on ?? earlier.length > 0) === on) return;
    const known = item.reactions.get(emoji) ?? { count: 0, mine: false };
    known.count += on ? 1 : -1;
    if (effect.sender === this.#me) known.mine = on;
    if (known.count > 0) item.reactions.set(emoji, known);
    else item.reactions.delete(emoji);
  }
}

const isShown = ({ kind }) => kind === "text" || kind === "member" || kind === "group";
const isEffect = ({ kind }) => kind === "edit" || kind === "delete" || kind === "reaction";
