/** @file One message as it is drawn; whatever it says is text and nothing else. */
import { h, hueOf, icon } from "./dom.js";
import { bodyText, exactTime, timeOfDay } from "./format.js";

const TICKS = { waiting: "waiting to be sent", sent: "sent", delivered: "delivered", read: "read", failed: "not sent" };

/** The row's frame; its button stays the same element while the content changes, so it keeps the focus. */
export function makeMessage(onMenu, onReact) {
  const more = h(
    "button",
    { class: "message-more round", type: "button", aria: { label: "Actions", haspopup: "menu" } },
    icon("more"),
  );
  const content = h("div", { class: "message-content" });
  const node = h("li", { class: "message" }, content, more);
  more.addEventListener("click", () => onMenu(more, node.view));
  content.addEventListener("click", (event) => {
    const chip = event.target.closest(".reaction");
    if (chip) onReact(chip.dataset.emoji, node.view);
  });
  return node;
}

/** Draws a message into its row. @param {{retry: () => void, discard: () => void}} events Of one that was refused. */
export function updateMessage(node, view, events) {
  node.view = view;
  node.classList.toggle("is-own", view.isOwn);
  node.classList.toggle("is-together", view.isTogether);
  node.classList.toggle("is-deleted", view.deleted);
  node.dataset.tick = view.tick;
  const [content, more] = node.children;
  more.hidden = view.seq === undefined || view.deleted || !view.canWrite;
  const focused = document.activeElement?.closest?.(".reaction")?.dataset.emoji;
  content.replaceChildren(bubble(view, events), ...reactions(view));
  if (focused && document.activeElement === document.body)
    content.querySelector(`[data-emoji="${CSS.escape(focused)}"]`)?.focus();
}

function bubble(view, events) {
  return h(
    "div",
    { class: "bubble" },
    view.name && h("p", { class: "sender", hue: hueOf(view.sender) }, view.name),
    view.reply && quote(view.reply),
    h("p", { class: "text", dir: "auto" }, textOf(view)),
    h(
      "p",
      { class: "meta" },
      view.isEdited && h("span", {}, "edited"),
      h("time", { title: exactTime(view.time_ms) }, timeOfDay(view.time_ms)),
      view.tick && icon(view.tick, TICKS[view.tick]),
    ),
    view.failed && refusal(view, events),
  );
}

function textOf(view) {
  if (view.deleted) return "Message deleted";
  if (view.kind === "edit") return `Edit: ${bodyText(view.body)}`;
  if (view.kind === "delete") return "Deletion";
  if (view.kind === "reaction") return `Reaction ${view.body.emoji}`;
  return bodyText(view.body);
}

function quote({ name, body, isKnown, deleted }) {
  const text = deleted ? "Message deleted" : isKnown ? bodyText(body) : "An earlier message";
  return h("blockquote", { class: "quote" }, name && h("strong", {}, name), h("span", { dir: "auto" }, text));
}

function refusal({ failed }, { retry, discard }) {
  return h(
    "p",
    { class: "refusal", role: "alert" },
    `Not sent: ${failed} `,
    h("button", { class: "link", type: "button", on: { click: retry } }, "Try again"),
    " ",
    h("button", { class: "link", type: "button", on: { click: discard } }, "Discard"),
  );
}

function reactions({ reactions: list }) {
  if (!list.length) return [];
  const chips = list.map(([emoji, { count, mine }]) =>
    h(
      "button",
      { class: "reaction", type: "button", data: { emoji }, aria: { pressed: mine, label: `${emoji}, ${count}` } },
      emoji,
      count > 1 && h("span", {}, String(count)),
    ),
  );
  return [h("div", { class: "reactions" }, chips)];
}
