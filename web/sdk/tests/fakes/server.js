/**
 * @file A naive server of the socket's protocol, in memory: the model that the SDK is tested against.
 *
 * It keeps everything, computes everything anew, and is right because it is simple. What the network does to its
 * frames (delay, cut) is the test's business: a link is two queues.
 */
import { peerOf } from "../../ids.js";

const EFFECTS = new Set(["edit", "delete", "reaction"]);

export class FakeServer {
  /** @type {Map<string, {members: Set<string>, log: object[], title?: string}>} */
  conversations = new Map();
  names = new Map();
  /** By "user device": by conversation. */
  delivered = new Map();
  /** By user: by conversation. */
  read = new Map();
  links = new Set();
  /** A random number below this: the push of an entry is lost, and the link is told that it is behind. */
  behindPart = 0;
  replayEach = 100;

  constructor({ now, random }) {
    this.now = now;
    this.random = random;
  }

  /** Appends as if another client had sent it. */
  append(id, sender, { kind = "text", body = {}, ref, client_id, hiddenFrom }, from) {
    const conversation = this.open(id);
    const known =
      client_id && conversation.log.find((entry) => entry.sender === sender && entry.client_id === client_id);
    if (known) return { entry: known, duplicate: true };
    const seq = conversation.log.length + 1;
    const entry = { conversation: id, seq, sender, client_id, kind, body, ref, time_ms: this.now(), hiddenFrom };
    conversation.log.push(entry);
    this.#raise(this.read, sender, id, seq);
    for (const link of this.links) {
      if (link === from || !link.isOpen || !conversation.members.has(link.user)) continue;
      if (seq === 1) link.push({ type: "conversations", conversations: [this.#row(link, id)] });
      if (this.random() < this.behindPart || link.behind.has(id)) link.behind.add(id);
      else link.push({ type: "message", ...this.#seen(entry, link.user) });
    }
    return { entry, duplicate: false };
  }

  /** The conversation, made if it is a direct one. */
  open(id, members = id.split(":").slice(1), title = undefined) {
    if (!this.conversations.has(id)) this.conversations.set(id, { members: new Set(members), log: [], title });
    return this.conversations.get(id);
  }

  /** @param {{user: string, device: string, push: (frame: object) => void, close: (code: number) => void}} link */
  received(link, frame) {
    switch (frame.type) {
      case "hello":
        return this.#hello(link);
      case "send":
        return this.#send(link, frame);
      case "pull":
        return link.pushLater({ type: "page", id: frame.id, ...this.page(frame, link.user) });
      case "mark":
        return this.#mark(link, frame);
      case "typing":
        return this.#others(link, frame.conversation, { ...frame, user: link.user });
      case "watch":
        return frame.users.forEach((user) => link.push({ type: "presence", user, ...this.presence(user) }));
      case "ping":
        return link.push({ type: "pong", id: frame.id, time_ms: this.now() });
      case "renew":
        return link.push({ type: "renewed", id: frame.id, expires_ms: this.now() + 900_000 });
      default:
        return undefined;
    }
  }

  /** What was held back from a slow link becomes known to it. */
  tellBehind(link) {
    const conversations = [...link.behind].map((id) => ({
      conversation: id,
      head: this.conversations.get(id).log.length,
    }));
    link.behind.clear();
    if (conversations.length) link.push({ type: "behind", conversations });
  }

  presence(user) {
    const online = [...this.links].some((link) => link.isOpen && link.user === user);
    return online ? { state: "online" } : { state: "offline", last_seen_ms: this.now() - 60_000 };
  }

  page({ conversation, after, before, limit = 100 }, reader) {
    const { log } = this.conversations.get(conversation) ?? { log: [] };
    const head = log.length;
    const range =
      before === undefined ? log.slice(after ?? 0, (after ?? 0) + limit) : log.slice(0, before - 1).slice(-limit);
    const hidden = range.filter((entry) => entry.hiddenFrom === reader);
    return {
      conversation,
      messages: range.filter((entry) => entry.hiddenFrom !== reader).map((entry) => asOfNow(entry, log, reader)),
      skip: hidden.map(({ seq }) => [seq, seq]),
      first: 1,
      head,
      more: before === undefined ? (after ?? 0) + range.length < head : range.length > 0 && range[0].seq > 1,
    };
  }

  #hello(link) {
    link.isOpen = true;
    link.behind = new Set();
    link.push({
      type: "welcome",
      user: link.user,
      device: link.device,
      heartbeat_s: 25,
      time_ms: this.now(),
      expires_ms: this.now() + 900_000,
      limits: { body_bytes: 16384 },
    });
    const mine = [...this.conversations].filter(([, { members }]) => members.has(link.user)).map(([id]) => id);
    link.push({ type: "conversations", conversations: mine.map((id) => this.#row(link, id)) });
    const pending = [];
    for (const id of mine) {
      const { log } = this.conversations.get(id);
      const missing = log.slice(this.#cursor(link, id));
      missing
        .slice(0, this.replayEach)
        .forEach((entry) => link.push({ type: "message", ...this.#seen(entry, link.user) }));
      if (missing.length > this.replayEach) pending.push({ conversation: id, head: log.length });
    }
    link.push({ type: "synced", since: String(this.now()), pending });
    this.#tellPresence(link.user);
  }

  #tellPresence(user) {
    for (const link of this.links) if (link.isOpen) link.push({ type: "presence", user, ...this.presence(user) });
  }

  #send(link, { id, client_id, conversation, to, kind, body, ref }) {
    const where = conversation ?? `d:${[link.user, to].sort().join(":")}`;
    const isNew = !this.conversations.has(where);
    const { entry, duplicate } = this.append(where, link.user, { client_id, kind, body, ref }, link);
    if (isNew) link.push({ type: "conversations", conversations: [this.#row(link, where)] });
    const { seq, time_ms } = entry;
    // The sender is behind like anyone: its own later entries must not pretend that nothing is missing.
    link.push({ type: "ack", id, client_id, conversation: where, seq, time_ms, duplicate });
  }

  #mark(link, { conversation, delivered = 0, read = 0 }) {
    this.#raise(this.delivered, `${link.user} ${link.device}`, conversation, Math.max(delivered, read));
    this.#raise(this.read, link.user, conversation, read);
    const mark = { user: link.user, delivered: Math.max(delivered, read), read };
    this.#others(link, conversation, { type: "marks", conversation, marks: [mark] });
  }

  #others(link, conversation, frame) {
    for (const other of this.links) {
      const isMember = this.conversations.get(conversation).members.has(other.user);
      if (other !== link && other.isOpen && isMember) other.push(frame);
    }
  }

  #row(link, id) {
    const { log, title, members } = this.conversations.get(id);
    const read = this.read.get(link.user)?.get(id) ?? 0;
    const peer = peerOf(id, link.user);
    const most = (user) =>
      Math.max(0, ...[...this.delivered].filter(([key]) => key.startsWith(user)).map(([, by]) => by.get(id) ?? 0));
    return {
      conversation: id,
      first: 1,
      head: log.length,
      delivered: this.#cursor(link, id),
      read,
      unread: log.filter((entry) => entry.seq > read && entry.kind === "text" && entry.sender !== link.user).length,
      last: log.filter((entry) => entry.hiddenFrom !== link.user).at(-1),
      title: title ?? this.names.get(peer),
      role: id.startsWith("g:") ? "owner" : undefined,
      members: members.size,
      muted: false,
      peer: peer && {
        user: peer,
        name: this.names.get(peer) ?? peer,
        delivered: most(peer),
        read: this.read.get(peer)?.get(id) ?? 0,
      },
    };
  }

  #cursor(link, id) {
    return this.delivered.get(`${link.user} ${link.device}`)?.get(id) ?? 0;
  }

  #seen(entry, reader) {
    const { conversation, seq } = entry;
    return entry.hiddenFrom === reader ? { conversation, seq, kind: "hidden" } : { ...entry, hiddenFrom: undefined };
  }

  #raise(marks, who, id, seq) {
    const of = marks.get(who) ?? new Map();
    of.set(id, Math.max(of.get(id) ?? 0, seq));
    marks.set(who, of);
  }
}

/** A text as its page shows it: everything in the log has been done to it. */
export function asOfNow(entry, log, reader) {
  const shown = { ...entry, hiddenFrom: undefined };
  if (entry.kind !== "text") return shown;
  const people = new Map();
  for (const effect of log.filter(({ kind, ref }) => EFFECTS.has(kind) && ref === entry.seq)) {
    if (effect.hiddenFrom === reader) continue;
    if (effect.kind === "delete") return { ...entry, body: {}, deleted: true, hiddenFrom: undefined };
    if (effect.kind === "edit") shown.edited = { seq: effect.seq, body: effect.body, time_ms: effect.time_ms };
    if (effect.kind === "reaction") {
      const { emoji, on } = effect.body;
      const who = people.get(emoji) ?? new Set();
      if (on) who.add(effect.sender);
      else who.delete(effect.sender);
      people.set(emoji, who);
    }
  }
  const standing = [...people].filter(([, who]) => who.size);
  if (standing.length) {
    shown.reactions = Object.fromEntries(
      standing.map(([emoji, who]) => [emoji, { count: who.size, mine: who.has(reader) }]),
    );
  }
  return shown;
}
