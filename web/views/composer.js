/** @file Where messages are written: sends, replies, edits; drafts stay while other conversations are open. */
import { h, icon, setText } from "./dom.js";
import { bodyText } from "./format.js";

/** Unfinished texts, by conversation, for this life of the page. */
const drafts = new Map();
const ROWS_MAX = 8;

export class Composer {
  #app;
  #id;
  #onSent;
  #input = h("textarea", {
    rows: 1,
    placeholder: "Message",
    aria: { label: "Message" },
    dir: "auto",
    maxlength: 16000,
  });
  #send = h("button", { class: "round send", type: "submit", aria: { label: "Send" } }, icon("send"));
  #about = h("div", { class: "composer-about", hidden: true });
  #fault = h("p", { class: "fault", role: "alert" });
  #note = h("p", { class: "composer-note", hidden: true });
  #form;
  /** What the text is about: a reply to, or an edit of, an item. @type {{mode: "reply"|"edit", item: object}|undefined} */
  #target;
  /** Set by the conversation: the item that arrow up edits. */
  lastOwn = () => undefined;

  /**
   * @param {import("./shell.js").App} app
   * @param {string} id
   * @param {() => void} onSent
   */
  constructor(app, id, onSent) {
    this.#app = app;
    this.#id = id;
    this.#onSent = onSent;
    this.#input.value = drafts.get(id) ?? "";
    this.#form = h(
      "form",
      { class: "composer-form", on: { submit: (event) => this.#submit(event) } },
      this.#input,
      this.#send,
    );
    this.element = h("div", { class: "composer" }, this.#about, this.#fault, this.#form, this.#note);
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#resize();
  }

  /** @param {import("../sdk/conversation.js").Conversation|undefined} conversation */
  render(conversation) {
    const note = conversation?.isRemoved
      ? "You are no longer a member of this group."
      : conversation?.role === "reader"
        ? "You can read here, not write."
        : "";
    setText(this.#note, note);
    this.#note.hidden = !note;
    this.#form.hidden = Boolean(note);
    if (note) this.#cancel();
  }

  focus() {
    this.#input.focus({ preventScroll: true });
  }

  close() {
    if (this.#target?.mode !== "edit") drafts.set(this.#id, this.#input.value);
    this.#app.chat.typing(this.#id, false);
  }

  reply(item) {
    if (this.#target?.mode === "edit") this.#input.value = "";
    this.#setTarget({ mode: "reply", item });
  }

  edit(item) {
    this.#input.value = bodyText(item.body);
    this.#setTarget({ mode: "edit", item });
  }

  #setTarget(target) {
    this.#target = target;
    this.#about.hidden = !target;
    if (target) {
      const label = target.mode === "edit" ? "Edit message" : `Reply to ${this.#app.name(target.item.sender)}`;
      const cancel = h(
        "button",
        { class: "round", type: "button", aria: { label: "Cancel" }, on: { click: () => this.#cancel() } },
        icon("close"),
      );
      this.#about.replaceChildren(
        h("div", {}, h("strong", {}, label), h("span", { dir: "auto" }, bodyText(target.item.body))),
        cancel,
      );
      this.focus();
    }
    this.#resize();
  }

  #cancel() {
    if (!this.#target) return;
    if (this.#target.mode === "edit") this.#input.value = "";
    this.#setTarget(undefined);
  }

  #submit(event) {
    event?.preventDefault();
    const text = this.#input.value.trim();
    if (!text) return;
    const { mode, item } = this.#target ?? {};
    try {
      if (mode === "edit") {
        if (text !== bodyText(item.body))
          this.#app.chat.send(this.#id, { kind: "edit", body: { ...item.body, text }, ref: item.seq });
      } else {
        this.#app.chat.send(this.#id, { body: { text }, ref: item?.seq });
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      setText(this.#fault, error.message);
      return;
    }
    setText(this.#fault, "");
    this.#input.value = "";
    drafts.delete(this.#id);
    this.#setTarget(undefined);
    if (mode !== "edit") this.#onSent();
    this.focus();
  }

  #typed() {
    setText(this.#fault, "");
    this.#resize();
    this.#app.chat.typing(this.#id, this.#input.value.trim() !== "");
  }

  #key(event) {
    if (event.isComposing) return;
    const isTouch = matchMedia("(pointer: coarse)").matches;
    if (event.key === "Enter" && !event.shiftKey && !isTouch) this.#submit(event);
    else if (event.key === "Escape" && this.#target) this.#cancel();
    else if (event.key === "ArrowUp" && this.#input.value === "" && !this.#target) {
      const item = this.lastOwn();
      if (!item) return;
      event.preventDefault();
      this.edit(item);
    }
  }

  #resize() {
    const lines = this.#input.value.split("\n").length;
    this.#input.rows = Math.min(ROWS_MAX, Math.max(1, lines));
    // A long line wraps: grow by what does not fit.
    while (this.#input.rows < ROWS_MAX && this.#input.scrollHeight > this.#input.clientHeight + 2)
      this.#input.rows += 1;
  }
}
