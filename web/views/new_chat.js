/** @file Starting a conversation: with a person, or as a group. */
import { avatar, h, setText } from "./dom.js";
import { openDialog } from "./dialogs.js";

const SEARCH_PAUSE_MS = 250;

/** Finds a person and opens the conversation with them. @param {import("./shell.js").App} app */
export function newChat(app) {
  const search = peopleSearch(app, (user) => {
    dialog.close();
    app.open(app.chat.state.directWith(user.id));
  });
  const dialog = openDialog("New chat", search.element);
  search.input.focus();
}

/** Names a group, chooses people and opens it. @param {import("./shell.js").App} app */
export function newGroup(app) {
  const name = h("input", { id: "group-name", required: true, maxlength: 64, autocomplete: "off" });
  const chosen = peopleChoice(app, "Create group");
  const form = h(
    "form",
    {},
    h("div", { class: "field" }, h("label", { for: name.id }, "Name of the group"), name),
    chosen.element,
  );
  const dialog = openDialog("New group", form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const members = chosen.users().map(({ id }) => ({ user: id }));
    const group = await chosen.attempt(() =>
      app.request("POST", "/group-service/groups", { body: { name: name.value.trim(), members } }),
    );
    if (!group) return;
    dialog.close();
    app.open(group.conversation);
  });
  name.focus();
}

/** Adds people to a group. @returns {Promise<void>} When the dialog is closed. */
export function addMembers(app, group, present) {
  const chosen = peopleChoice(app, "Add", present);
  const form = h("form", {}, chosen.element);
  const dialog = openDialog("Add people", form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const members = chosen.users().map(({ id }) => ({ user: id }));
    if (!members.length) return;
    const path = `/group-service/groups/${group}/members`;
    if (await chosen.attempt(() => app.request("POST", path, { body: { members } }))) dialog.close();
  });
  chosen.focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve()));
}

/** A search and the people chosen from it, with the button that finishes. */
function peopleChoice(app, action, present = []) {
  const chosen = new Map();
  const list = h("ul", { class: "chosen", aria: { label: "Chosen people" } });
  const fault = h("p", { class: "fault", role: "alert" });
  const submit = h("button", { class: "primary", type: "submit" }, action);
  const show = () =>
    list.replaceChildren(
      ...[...chosen.values()].map((user) =>
        h(
          "li",
          {},
          h(
            "button",
            { class: "chip", type: "button", aria: { label: `Remove ${user.name}` }, on: { click: () => drop(user) } },
            user.name,
            " ×",
          ),
        ),
      ),
    );
  const drop = (user) => {
    chosen.delete(user.id);
    show();
  };
  const search = peopleSearch(
    app,
    (user) => {
      chosen.set(user.id, user);
      search.clear();
      show();
    },
    (user) => user.id !== app.chat.me.id && !chosen.has(user.id) && !present.includes(user.id),
  );
  return {
    element: h("div", {}, list, search.element, fault, h("div", { class: "dialog-actions" }, submit)),
    users: () => [...chosen.values()],
    focus: () => search.input.focus(),
    /** Does it with the button off; a refusal is shown. */
    async attempt(call) {
      submit.disabled = true;
      setText(fault, "");
      try {
        return await call();
      } catch (error) {
        setText(fault, error.message);
        return undefined;
      } finally {
        submit.disabled = false;
      }
    },
  };
}

function peopleSearch(app, onChoose, isOffered = () => true) {
  const input = h("input", { type: "search", id: "people-search", autocomplete: "off", spellcheck: "false" });
  const results = h("ul", { class: "people" });
  const said = h("p", { class: "people-said", role: "status" });
  let timer;
  let asked = 0;
  const show = (users, text) => {
    results.replaceChildren(
      ...users.map((user) =>
        h(
          "li",
          {},
          h(
            "button",
            { class: "person", type: "button", on: { click: () => onChoose(user) } },
            avatar(user.id, user.name),
            user.name,
          ),
        ),
      ),
    );
    setText(said, text);
  };
  const find = async () => {
    const text = input.value.trim();
    const mine = (asked += 1);
    if (!text) return show([], "");
    try {
      const users = (await app.people.search(text)).filter(isOffered);
      if (mine === asked) show(users, users.length ? "" : "Nobody found. A whole e-mail address works too.");
    } catch (error) {
      if (mine === asked) show([], error.message);
    }
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, SEARCH_PAUSE_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it chooses, and does not send the form
    results.querySelector("button")?.click();
  });
  const clear = () => {
    input.value = "";
    asked += 1;
    show([], "");
    input.focus();
  };
  return {
    element: h(
      "div",
      { class: "field" },
      h("label", { for: input.id }, "Name or e-mail address"),
      input,
      said,
      results,
    ),
    input,
    clear,
  };
}
