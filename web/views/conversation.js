/** @file One open conversation: who it is with, its messages, and the place to write. */
import { groupOf, peerOf } from "../sdk/index.js";
import { Composer } from "./composer.js";
import { askFor } from "./dialogs.js";
import { avatar, h, icon, setText } from "./dom.js";
import { bodyText, presenceLine, systemLine, typingLine } from "./format.js";
import { showGroup } from "./group.js";
import { Messages } from "./messages.js";

export class ConversationView {
  #app;
  #announce;
  #title = h("h2", {});
  #line = h("p", { class: "presence-line" });
  #avatar = h("span", {});
  #messages;
  #composer;
  /** The newest seq that a screen reader was told of; undefined until the first messages are here. */
  #announced;
  /** What was read when the conversation was opened: after it the line "new" is drawn. */
  #newAfter;
  #isNewDecided = false;

  /**
   * @param {import("./shell.js").App} app
   * @param {string} id
   * @param {(text: string) => void} announce Says something to screen readers.
   */
  constructor(app, id, announce) {
    this.#app = app;
    this.id = id;
    this.#announce = announce;
    this.#composer = new Composer(app, id, () => this.#messages.toBottom());
    this.#messages = new Messages(app, id, {
      onReply: (item) => this.#composer.reply(item),
      onEdit: (item) => this.#composer.edit(item),
      onDelete: (item) => this.#delete(item),
      onScrolled: () => this.#seen(),
    });
    this.#composer.lastOwn = () => this.#messages.lastOwn();
    this.element = h(
      "section",
      { class: "conversation", aria: { label: "Conversation" } },
      this.#header(),
      this.#messages.element,
      this.#composer.element,
    );
  }

  render() {
    const { chat, title } = this.#app;
    const conversation = chat.state.conversations.get(this.id);
    const name = title(this.id);
    setText(this.#title, name);
    setText(this.#line, this.#lineText(conversation));
    if (this.#avatar.dataset.name !== name) {
      this.#avatar.dataset.name = name;
      this.#avatar.replaceChildren(avatar(peerOf(this.id, chat.me.id) ?? this.id, name));
    }
    if (conversation && chat.state.isSynced && !this.#isNewDecided) {
      this.#isNewDecided = true;
      this.#newAfter = conversation.unread ? conversation.read : undefined;
    }
    this.#messages.render(conversation, this.#newAfter);
    this.#composer.render(conversation);
    this.#announceNew(conversation);
    this.#seen();
  }

  focus() {
    if (matchMedia("(hover: hover)").matches) this.#composer.focus();
  }

  close() {
    this.#composer.close();
  }

  #header() {
    const back = h(
      "button",
      {
        class: "round back",
        type: "button",
        aria: { label: "Back to the list" },
        on: { click: () => this.#app.open() },
      },
      icon("back"),
    );
    const group = groupOf(this.id);
    const info =
      group &&
      h(
        "button",
        {
          class: "round",
          type: "button",
          title: "Members",
          aria: { label: "Members" },
          on: { click: () => showGroup(this.#app, this.id) },
        },
        icon("group"),
      );
    return h(
      "header",
      { class: "conversation-header" },
      back,
      this.#avatar,
      h("div", { class: "heading" }, this.#title, this.#line),
      info,
    );
  }

  #lineText(conversation) {
    const { chat, name } = this.#app;
    const typing = chat.typists(this.id).map(name);
    if (typing.length) return groupOf(this.id) ? typingLine(typing) : "typing…";
    if (groupOf(this.id)) {
      if (conversation?.isRemoved) return "You are no longer a member";
      return conversation?.members ? `${conversation.members} member${conversation.members > 1 ? "s" : ""}` : "";
    }
    // Without a connection nothing is known about who is online.
    return chat.state.isSynced ? presenceLine(chat.state.presence.get(peerOf(this.id, chat.me.id))) : "";
  }

  /** Whoever has the newest message before their eyes has read it. */
  #seen() {
    if (document.visibilityState !== "visible" || !document.hasFocus() || !this.#messages.isAtBottom) return;
    this.#app.chat.readAll(this.id);
  }

  #announceNew(conversation) {
    const newest = conversation?.log.items.at(-1);
    if (!newest || !this.#app.chat.state.isSynced) return;
    const { me } = this.#app.chat;
    if (this.#announced !== undefined && newest.seq > this.#announced && newest.sender !== me.id) {
      const text =
        newest.kind === "text"
          ? `${this.#app.name(newest.sender)}: ${bodyText(newest.body)}`
          : systemLine(newest, this.#app.name);
      this.#announce(text);
    }
    this.#announced = newest.seq;
  }

  async #delete(item) {
    if (!(await askFor("Delete this message?", "It disappears for everyone.", "Delete"))) return;
    this.#app.chat.send(this.id, { kind: "delete", ref: item.seq });
  }
}
