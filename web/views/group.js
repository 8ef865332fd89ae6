/** @file A group's members: who is in it, and what the user may change. */
import { groupOf } from "../sdk/index.js";
import { askFor, openDialog } from "./dialogs.js";
import { avatar, h, setText } from "./dom.js";
import { addMembers } from "./new_chat.js";

/** @param {import("./shell.js").App} app @param {string} conversation */
export function showGroup(app, conversation) {
  const id = groupOf(conversation);
  const path = `/group-service/groups/${id}`;
  const me = app.chat.me.id;
  const list = h("ul", { class: "people" });
  const fault = h("p", { class: "fault", role: "alert" });
  const actions = h("div", { class: "dialog-actions" });
  const dialog = openDialog(app.title(conversation), list, fault, actions);
  const attempt = async (call) => {
    setText(fault, "");
    try {
      return await call();
    } catch (error) {
      setText(fault, error.message);
      return undefined;
    }
  };

  async function load() {
    const group = await attempt(() => app.request("GET", path));
    if (!group) return;
    const mine = group.members.find(({ user }) => user === me)?.role;
    const mayChange = mine === "owner" || mine === "admin";
    const unknown = group.members.filter(({ user }) => app.name(user) === "…");
    list.replaceChildren(...group.members.map((member) => row(member, mine)));
    if (unknown.length) setTimeout(() => dialog.open && names(), 300); // asked for by app.name
    actions.replaceChildren(
      h("button", { type: "button", class: "danger", on: { click: leave } }, "Leave group"),
      ...(mayChange
        ? [
            h("button", { type: "button", on: { click: () => rename(group.name) } }, "Rename"),
            h("button", { class: "primary", type: "button", on: { click: () => add(group.members) } }, "Add people"),
          ]
        : []),
    );
  }

  function names() {
    for (const label of list.querySelectorAll("[data-user]")) setText(label, app.name(label.dataset.user));
  }

  function row({ user, role }, mine) {
    const mayRemove =
      user !== me && (mine === "owner" || (mine === "admin" && (role === "member" || role === "reader")));
    return h(
      "li",
      { class: "person" },
      avatar(user, app.people.name(user)),
      h("span", { class: "person-name", data: { user } }, app.name(user)),
      role !== "member" && h("span", { class: "role" }, role),
      mayRemove &&
        h(
          "button",
          {
            class: "link danger",
            type: "button",
            aria: { label: `Remove ${app.name(user)}` },
            on: { click: () => remove(user) },
          },
          "Remove",
        ),
    );
  }

  async function remove(user) {
    if (!(await askFor(`Remove ${app.name(user)}?`, "They will not see later messages.", "Remove"))) return;
    await attempt(() => app.request("DELETE", `${path}/members/${user}`));
    await load();
  }

  async function leave() {
    if (!(await askFor("Leave this group?", "You will not see later messages.", "Leave"))) return;
    const left = await attempt(async () => {
      await app.request("DELETE", `${path}/members/${me}`);
      return true;
    });
    if (left) dialog.close();
  }

  async function add(members) {
    await addMembers(
      app,
      id,
      members.map(({ user }) => user),
    );
    await load();
  }

  function rename(current) {
    const name = h("input", { id: "group-rename", required: true, maxlength: 64, value: current });
    const form = h(
      "form",
      {},
      h("div", { class: "field" }, h("label", { for: name.id }, "Name of the group"), name),
      h("div", { class: "dialog-actions" }, h("button", { class: "primary", type: "submit" }, "Rename")),
    );
    const asking = openDialog("Rename the group", form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      asking.close();
      const group = await attempt(() => app.request("PATCH", path, { body: { name: name.value.trim() } }));
      if (group) setText(dialog.querySelector("h2"), group.name);
    });
    name.select();
  }

  void load();
}
