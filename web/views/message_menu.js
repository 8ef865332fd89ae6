/** @file What can be done with a message: one popover that moves to where it is asked for. */
import { h } from "./dom.js";

const EMOJIS = ["👍", "❤️", "😂", "😮", "😢", "🎉"];
const GAP_PX = 6;

export class MessageMenu {
  element = h("div", { class: "menu", popover: "auto", role: "menu" });
  #button;

  constructor() {
    this.element.addEventListener("keydown", (event) => this.#moveFocus(event));
    this.element.addEventListener("toggle", ({ newState }) =>
      this.#button?.closest(".message")?.classList.toggle("has-menu", newState === "open"),
    );
  }

  /**
   * @param {Element} button Beside which it opens; it has the focus again afterwards.
   * @param {[string, () => void][]} actions
   * @param {(emoji: string) => void} onReact
   */
  open(button, actions, onReact) {
    this.#button = button;
    const choose = (call) => () => {
      this.element.hidePopover();
      call();
    };
    const emojis = EMOJIS.map((emoji) =>
      h(
        "button",
        {
          class: "menu-emoji",
          role: "menuitem",
          type: "button",
          aria: { label: `React ${emoji}` },
          on: { click: choose(() => onReact(emoji)) },
        },
        emoji,
      ),
    );
    const items = actions.map(([label, call]) =>
      h("button", { class: "menu-item", role: "menuitem", type: "button", on: { click: choose(call) } }, label),
    );
    this.element.replaceChildren(h("div", { class: "menu-emojis" }, emojis), ...items);
    this.element.showPopover();
    this.#place(button.getBoundingClientRect());
    emojis[0].focus();
  }

  #place(at) {
    const { offsetWidth, offsetHeight, style } = this.element;
    // Towards the middle: own messages stand at one edge, those of others at the other.
    const wished = at.left + at.width / 2 < innerWidth * 0.6 ? at.left : at.right - offsetWidth;
    const left = Math.min(Math.max(GAP_PX, wished), innerWidth - offsetWidth - GAP_PX);
    const below = at.bottom + GAP_PX;
    style.left = `${left}px`;
    style.top = `${below + offsetHeight < innerHeight ? below : Math.max(GAP_PX, at.top - offsetHeight - GAP_PX)}px`;
  }

  #moveFocus(event) {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = [...this.element.querySelectorAll("[role=menuitem]")];
    items.at((items.indexOf(document.activeElement) + step) % items.length).focus();
  }
}
