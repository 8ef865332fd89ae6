/** @file What the connection is doing, said honestly and only when there is something to say. */
import { h, setText } from "./dom.js";

const TICK_MS = 500;

export class Banner {
  #chat;
  #text = h("span", { role: "status" });
  #button = h("button", { type: "button", class: "banner-button" });
  #ticking;

  constructor(chat, signal) {
    this.#chat = chat;
    this.#button.addEventListener("click", () => this.#act());
    this.element = h("div", { class: "banner", hidden: true }, this.#text, this.#button);
    signal.addEventListener("abort", () => clearInterval(this.#ticking));
  }

  render() {
    const { status } = this.#chat;
    const [text, action] = words(status);
    this.element.hidden = text === "";
    this.element.dataset.state = status.state;
    setText(this.#text, text);
    setText(this.#button, action ?? "");
    this.#button.hidden = !action;
    if (status.state === "waiting") this.#ticking ??= setInterval(() => this.render(), TICK_MS);
    else this.#ticking = clearInterval(this.#ticking);
  }

  #act() {
    const { state, reason } = this.#chat.status;
    if (state === "waiting") this.#chat.retryNow();
    else if (reason === "replaced")
      location.reload(); // the other tab may have sent what waits here
    else this.#chat.start();
  }
}

/** @returns {[string, string?]} What to say, and what the button does. */
function words({ state, until_ms, reason }) {
  switch (state) {
    case "online":
      return [""];
    case "connecting":
      return ["Connecting…"];
    case "syncing":
      return ["Updating…"];
    case "waiting": {
      const seconds = Math.max(1, Math.ceil((until_ms - Date.now()) / 1000));
      return [`Offline – reconnecting in ${seconds} s`, "Try now"];
    }
    default:
      if (reason === "closed") return [""];
      if (reason === "replaced") return ["Trimaran is open in another tab or window.", "Use it here"];
      if (reason === "abuse") return ["The server closed the connection: too many requests.", "Connect again"];
      return ["The server refused the connection.", "Connect again"];
  }
}
