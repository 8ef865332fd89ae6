/** @file The two panes, the banner above them, and which conversation is open (in the address: back works). */
import { groupOf, peerOf } from "../sdk/index.js";
import { Banner } from "./banner.js";
import { ConversationView } from "./conversation.js";
import { askFor } from "./dialogs.js";
import { h, icon, setText } from "./dom.js";
import { ConversationList } from "./list.js";
import { newChat, newGroup } from "./new_chat.js";

/**
 * What the views share.
 * @typedef {object} App
 * @property {import("../sdk/index.js").Chat} chat
 * @property {import("../people.js").People} people
 * @property {(method: string, path: string, options?: object) => Promise<any>} request REST.
 * @property {() => Promise<void>} logout
 * @property {AbortSignal} signal Aborted when the user leaves: for listeners beyond the elements.
 * @property {(conversation?: string) => void} open
 * @property {(id: string) => string} name Of a user; "You" for oneself.
 * @property {(conversation: string) => string} title
 */

export class Shell {
  #app;
  #list;
  #banner;
  /** The open conversation's view. @type {ConversationView|undefined} */
  #view;
  #main = h("main", { class: "pane-main" });
  #live = h("div", { class: "visually-hidden", role: "status" });

  /** @param {Omit<App, "open"|"name"|"title">} given */
  constructor(given) {
    const { chat, people } = given;
    this.#app = {
      ...given,
      open: (conversation) => {
        location.hash = conversation ? `/c/${conversation}` : "/";
      },
      name: (id) => (id === chat.me.id ? "You" : people.name(id)),
      title: (id) => titleOf(id, given),
    };
    this.#banner = new Banner(chat, given.signal);
    this.#list = new ConversationList(this.#app);
    const side = h("aside", { class: "pane-side" }, this.#header(), this.#list.element);
    this.element = h("div", { class: "shell" }, this.#banner.element, side, this.#main, this.#live);
    const { signal } = given;
    addEventListener("hashchange", () => this.#navigated(), { signal });
    for (const event of ["focus", "visibilitychange"]) {
      (event === "focus" ? window : document).addEventListener(event, () => this.render(), { signal });
    }
    this.#navigated();
  }

  render() {
    const { chat } = this.#app;
    for (const { peer } of chat.state.conversations.values()) {
      if (peer) this.#app.people.learn({ id: peer.user, name: peer.name });
    }
    this.#banner.render();
    this.#view?.render();
    this.#list.render(this.#view?.id);
    let unread = 0;
    for (const conversation of chat.state.conversations.values())
      if (!conversation.muted) unread += conversation.unread;
    document.title = unread ? `(${unread}) Trimaran` : "Trimaran";
  }

  #header() {
    const app = this.#app;
    const button = (name, label, click) =>
      h("button", { class: "round", type: "button", title: label, aria: { label }, on: { click } }, icon(name));
    return h(
      "header",
      { class: "side-header" },
      h("h1", {}, app.chat.me.name),
      button("plus", "New chat", () => newChat(app)),
      button("group", "New group", () => newGroup(app)),
      button("leave", "Log out", () => this.#logout()),
    );
  }

  async #logout() {
    const waiting = this.#app.chat.outbox.size;
    const text = waiting
      ? `${waiting} unsent message${waiting > 1 ? "s" : ""} will be lost.`
      : "You can log in again at any time.";
    if (await askFor("Log out?", text, "Log out")) await this.#app.logout();
  }

  #navigated() {
    const id = conversationIn(location.hash, this.#app.chat.me.id);
    if (id === this.#view?.id && this.#main.firstChild) return;
    this.#view?.close();
    this.#view = id ? new ConversationView(this.#app, id, (text) => setText(this.#live, text)) : undefined;
    this.#app.chat.state.active = id;
    this.element?.classList.toggle("has-open", Boolean(id));
    this.#main.replaceChildren(this.#view?.element ?? emptyView());
    if (this.element?.isConnected) {
      this.render();
      this.#view?.focus();
    }
  }
}

/** The conversation that an address names, unless it is one of two other people (who logged in here before). */
function conversationIn(hash, me) {
  const [, id] = /^#\/c\/([dg]:[0-9a-f:-]+)$/.exec(hash) ?? [];
  return id?.startsWith("d:") && !id.split(":").includes(me) ? undefined : id;
}

function emptyView() {
  return h(
    "div",
    { class: "empty" },
    h("img", { src: "/icon.svg", alt: "", width: 72, height: 72 }),
    h("p", {}, "Choose a conversation, or start a new one."),
  );
}

function titleOf(id, { chat, people }) {
  const conversation = chat.state.conversations.get(id);
  const peer = peerOf(id, chat.me.id);
  if (peer === chat.me.id) return "Notes to myself";
  if (peer) return conversation?.peer?.name ?? people.name(peer);
  return conversation?.title || (groupOf(id) ? "Group" : "Conversation");
}
