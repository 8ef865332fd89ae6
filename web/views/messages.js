/** @file The messages of the open conversation: rows kept in place, older ones loaded on the way up. */
import { h, icon, reconcile } from "./dom.js";
import { dayName, dayOf, systemLine } from "./format.js";
import { makeMessage, updateMessage } from "./message.js";
import { MessageMenu } from "./message_menu.js";

/** Closer to the end than this counts as being there. */
const BOTTOM_PX = 48;
const LOAD_OLDER_PX = 600;
/** Messages of one person within this time stand together. */
const TOGETHER_MS = 5 * 60_000;

export class Messages {
  #app;
  #id;
  #events;
  #menu;
  #list = h("ol", { class: "messages-list", aria: { label: "Messages" } });
  #scroller;
  #toBottom;
  #conversation;
  #wantsBottom = true;

  /**
   * @param {import("./shell.js").App} app
   * @param {string} id
   * @param {{onReply: Function, onEdit: Function, onDelete: Function, onScrolled: () => void}} events
   */
  constructor(app, id, events) {
    this.#app = app;
    this.#id = id;
    this.#events = events;
    this.#menu = new MessageMenu();
    this.#scroller = h(
      "div",
      { class: "messages", tabindex: 0, aria: { label: "Messages" }, role: "region" },
      this.#list,
    );
    this.#toBottom = h(
      "button",
      {
        class: "to-bottom round",
        type: "button",
        hidden: true,
        aria: { label: "To the newest message" },
        on: { click: () => this.toBottom() },
      },
      icon("down"),
    );
    this.element = h("div", { class: "messages-frame" }, this.#scroller, this.#toBottom, this.#menu.element);
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#wantsBottom && this.toBottom()).observe(this.#scroller);
  }

  get isAtBottom() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < BOTTOM_PX;
  }

  toBottom() {
    this.#wantsBottom = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** The user's newest text that can be edited. */
  lastOwn() {
    const isOwn = (item) => item.kind === "text" && !item.deleted && item.sender === this.#app.chat.me.id;
    return this.#conversation?.log.items.findLast(isOwn);
  }

  /**
   * @param {import("../sdk/conversation.js").Conversation|undefined} conversation
   * @param {number|undefined} newAfter
   */
  render(conversation, newAfter) {
    this.#conversation = conversation;
    const anchor = this.#wantsBottom ? undefined : this.#anchor();
    reconcile(this.#list, this.#rows(newAfter));
    if (anchor) this.#scroller.scrollTop += anchor.node.offsetTop - anchor.offsetTop;
    else this.toBottom();
    this.#toBottom.hidden = this.isAtBottom;
    this.#loadOlder();
  }

  #rows(newAfter) {
    const { chat } = this.#app;
    const { log } = this.#conversation ?? {};
    const waiting = chat.waiting(this.#id);
    const pending = new Set(waiting.filter(({ kind }) => kind !== "text").map(({ ref }) => ref));
    const rows = [];
    if (log?.hasOlder) rows.push(lineRow("older", "loading", "Loading earlier messages…"));
    let before;
    let isNewDrawn = newAfter === undefined;
    for (const item of log?.items ?? []) {
      if (!before || dayOf(before.time_ms) !== dayOf(item.time_ms))
        rows.push(lineRow(`day ${item.seq}`, "day", dayName(item.time_ms)));
      if (!isNewDrawn && item.seq > newAfter && item.sender !== chat.me.id) {
        if (before) rows.push(lineRow("new", "new", "New messages")); // where everything is new it says nothing
        isNewDrawn = true;
        before = undefined;
      }
      rows.push(item.kind === "text" ? this.#textRow(item, before, pending.has(item.seq)) : this.#systemRow(item));
      before = item;
    }
    for (const send of waiting) {
      if (send.kind !== "text" && !send.failed) continue;
      const time_ms = send.created_ms;
      if (!before || dayOf(before.time_ms) !== dayOf(time_ms))
        rows.push(lineRow(`day ${send.client_id}`, "day", dayName(time_ms)));
      const item = { ...send, time_ms, sender: chat.me.id, reactions: new Map(), deleted: false };
      rows.push(this.#textRow(item, before, false));
      before = item;
    }
    return rows;
  }

  #textRow(item, before, isPending) {
    const { chat, name } = this.#app;
    const isOwn = item.sender === chat.me.id;
    const isGroup = this.#id.startsWith("g:");
    const isTogether =
      before?.kind === "text" && before.sender === item.sender && item.time_ms - before.time_ms < TOGETHER_MS;
    const replied = item.ref && item.kind === "text" ? this.#conversation?.log.item(item.ref) : undefined;
    const view = {
      seq: item.seq,
      client_id: item.client_id,
      kind: item.kind,
      isOwn,
      isTogether,
      sender: item.sender,
      name: isGroup && !isOwn && !isTogether ? name(item.sender) : "",
      body: item.body,
      deleted: item.deleted,
      isEdited: item.edited_ms !== undefined,
      time_ms: item.time_ms,
      reactions: [...item.reactions],
      tick: isPending ? "waiting" : isOwn ? this.#tick(item) : "",
      failed: item.failed?.message,
      reply: item.ref &&
        item.kind === "text" && {
          name: replied ? name(replied.sender) : "",
          body: replied?.body ?? {},
          isKnown: Boolean(replied),
          deleted: replied?.deleted,
        },
      canWrite: !this.#conversation?.isRemoved,
    };
    return {
      key: item.client_id ? `${item.sender} ${item.client_id}` : `seq ${item.seq}`,
      signature: JSON.stringify(view),
      make: () =>
        makeMessage(
          (button, shown) => this.#openMenu(button, shown),
          (emoji, shown) => this.#react(emoji, shown),
        ),
      update: (node) =>
        updateMessage(node, view, {
          retry: () => chat.retry(view.client_id),
          discard: () => chat.discard(view.client_id),
        }),
    };
  }

  #tick(item) {
    if (item.failed) return "failed";
    if (item.seq === undefined) return item.isSent ? "sent" : "waiting";
    return this.#conversation.tick(item.seq);
  }

  #systemRow(item) {
    return lineRow(`seq ${item.seq}`, "system", systemLine(item, this.#app.name));
  }

  #openMenu(button, view) {
    const item = this.#conversation?.log.item(view.seq);
    if (!item || item.deleted) return;
    const isAdmin = this.#id.startsWith("g:") && ["owner", "admin"].includes(this.#conversation.role);
    const actions = [["Reply", () => this.#events.onReply(item)]];
    if (view.isOwn) actions.push(["Edit", () => this.#events.onEdit(item)]);
    if (view.isOwn || isAdmin) actions.push(["Delete", () => this.#events.onDelete(item)]);
    this.#menu.open(button, actions, (emoji) => this.#react(emoji, view));
  }

  #react(emoji, { seq }) {
    const item = this.#conversation?.log.item(seq);
    if (!item || this.#conversation.isRemoved) return;
    const on = !item.reactions.get(emoji)?.mine;
    this.#app.chat.send(this.#id, { kind: "reaction", body: { emoji, on }, ref: seq });
  }

  #scrolled() {
    this.#wantsBottom = this.isAtBottom;
    this.#toBottom.hidden = this.#wantsBottom;
    this.#loadOlder();
    this.#events.onScrolled();
  }

  #loadOlder() {
    if (this.#scroller.scrollTop < LOAD_OLDER_PX && this.#conversation?.log.hasOlder)
      this.#app.chat.loadOlder(this.#id);
  }

  /** The uppermost visible message and where it is: what comes above it must not move it. */
  #anchor() {
    const top = this.#scroller.scrollTop;
    const isVisible = (node) => node.classList.contains("message") && node.offsetTop + node.offsetHeight > top;
    const node = [...this.#list.children].find(isVisible);
    return node && { node, offsetTop: node.offsetTop };
  }
}

function lineRow(key, kind, text) {
  return {
    key,
    signature: `${kind} ${text}`,
    make: () => h("li", { class: `line line-${kind}` }, h("span", {}, text)),
  };
}
