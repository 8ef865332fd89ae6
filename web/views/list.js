/** @file The list of conversations: newest activity first. */
import { peerOf } from "../sdk/index.js";
import { avatar, h, icon, reconcile, setText } from "./dom.js";
import { bodyText, previewText, shortTime, typingLine } from "./format.js";

export class ConversationList {
  #app;
  #list = h("ul", { class: "conversations" });
  #nothing = h("p", { class: "list-nothing" }, "No conversations yet. Press + to find people by name or e-mail.");

  /** @param {import("./shell.js").App} app */
  constructor(app) {
    this.#app = app;
    this.element = h("nav", { class: "list", aria: { label: "Conversations" } }, this.#nothing, this.#list);
    this.#list.addEventListener("keydown", (event) => this.#moveFocus(event));
  }

  /** @param {string|undefined} openId */
  render(openId) {
    const entries = this.#entries();
    this.#nothing.hidden = entries.length > 0 || !this.#app.chat.state.isSynced;
    reconcile(
      this.#list,
      entries.map((entry) => ({
        key: entry.id,
        signature: JSON.stringify([entry, entry.id === openId]),
        make: () => this.#make(entry.id),
        update: (node) => this.#update(node, entry, entry.id === openId),
      })),
    );
  }

  /** What each row shows; conversations that exist only as unsent messages too. */
  #entries() {
    const { chat, name, title } = this.#app;
    const { state, outbox, me } = chat;
    const ids = new Set([...state.conversations.keys(), ...outbox.conversations()]);
    const entries = [...ids].map((id) => {
      const conversation = state.conversations.get(id);
      const last = conversation?.preview;
      const unsent = chat
        .waiting(id)
        .filter(({ kind }) => kind === "text")
        .at(-1);
      const typing = chat.typists(id).map(name);
      const group = id.startsWith("g:");
      const who =
        last && last.kind === "text" && (last.sender === me.id ? "You: " : group ? `${name(last.sender)}: ` : "");
      return {
        id,
        title: title(id),
        isOnline: state.isSynced && state.presence.get(peerOf(id, me.id))?.state === "online",
        typing: group ? typingLine(typing) : typing.length ? "typing…" : "",
        preview: unsent ? `You: ${bodyText(unsent.body)}` : `${who || ""}${previewText(last, me.id, name)}`,
        isUnsent: Boolean(unsent),
        time_ms: unsent?.created_ms ?? last?.time_ms ?? 0,
        unread: conversation?.unread ?? 0,
        isMuted: conversation?.muted ?? false,
      };
    });
    return entries.sort((one, other) => other.time_ms - one.time_ms);
  }

  #make(id) {
    return h(
      "li",
      { data: { conversation: id } },
      h(
        "button",
        { class: "row", type: "button", on: { click: () => this.#app.open(id) } },
        h("span", { class: "row-avatar" }),
        h("span", { class: "row-title" }),
        h("time", { class: "row-time" }),
        h("span", { class: "row-preview", dir: "auto" }),
        h("span", { class: "row-unread" }),
      ),
    );
  }

  #update(node, entry, isOpen) {
    const part = (name) => node.querySelector(`.row-${name}`);
    const row = node.firstElementChild;
    if (isOpen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    const dot = entry.isOnline ? h("span", { class: "dot", role: "img", aria: { label: "online" } }) : undefined;
    part("avatar").replaceChildren(
      avatar(peerOf(entry.id, this.#app.chat.me.id) ?? entry.id, entry.title),
      ...(dot ? [dot] : []),
    );
    setText(part("title"), entry.title);
    setText(part("time"), entry.time_ms ? shortTime(entry.time_ms) : "");
    part("preview").replaceChildren(
      ...(entry.isUnsent && !entry.typing ? [icon("waiting", "waiting")] : []),
      entry.typing || entry.preview,
    );
    part("preview").classList.toggle("is-typing", Boolean(entry.typing));
    const badge = part("unread");
    badge.hidden = entry.unread === 0;
    badge.classList.toggle("is-muted", entry.isMuted);
    setText(badge, entry.unread > 99 ? "99+" : String(entry.unread));
    badge.setAttribute("aria-label", `${entry.unread} unread`);
  }

  #moveFocus(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const rows = [...this.#list.querySelectorAll(".row")];
    const next = rows.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
    if (!rows[next]) return;
    event.preventDefault();
    rows[next].focus();
  }
}
