/** @file Dialogs: one that asks, and the frame of the others. */
import { h, icon } from "./dom.js";

let opened = 0;

/**
 * Opens a modal dialog; it leaves the document when it is closed.
 * @param {string} title
 * @param {...(Node|string)} content
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, ...content) {
  const close = h(
    "button",
    { class: "round", type: "button", aria: { label: "Close" }, on: { click: () => dialog.close() } },
    icon("close"),
  );
  const heading = h("h2", { id: `dialog-title-${(opened += 1)}` }, title);
  const dialog = h(
    "dialog",
    { class: "dialog", aria: { labelledby: heading.id } },
    h("header", {}, heading, close),
    ...content,
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // the backdrop
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before something that cannot be undone. @returns {Promise<boolean>} */
export function askFor(title, text, action) {
  return new Promise((resolve) => {
    const yes = h("button", { class: "primary danger", type: "button" }, action);
    const no = h("button", { type: "button" }, "Cancel");
    const dialog = openDialog(title, h("p", {}, text), h("div", { class: "dialog-actions" }, no, yes));
    yes.addEventListener("click", () => {
      resolve(true);
      dialog.close();
    });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(false));
    yes.focus();
  });
}
