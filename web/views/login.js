/** @file The door: register or log in. */
import { NetworkError, Problem } from "../sdk/index.js";
import { deviceName } from "../browser.js";
import { h, setText } from "./dom.js";

/**
 * @param {import("../sdk/index.js").Session} session
 * @param {string|undefined} notice Why the user is here again.
 * @param {() => void} onDone
 * @returns {Element}
 */
export function loginView(session, notice, onDone) {
  let isNew = false;
  const field = (name, label, props) => {
    const input = h("input", { name, id: `login-${name}`, required: true, ...props });
    const fault = h("p", { class: "fault", id: `login-${name}-fault`, role: "alert" });
    input.setAttribute("aria-describedby", fault.id);
    return {
      name,
      input,
      fault,
      row: h("div", { class: "field" }, h("label", { for: input.id }, label), input, fault),
    };
  };
  const name = field("name", "Your name", { autocomplete: "name", maxlength: 64 });
  const email = field("email", "E-mail", { type: "email", autocomplete: "username", maxlength: 254 });
  const password = field("password", "Password", { type: "password", maxlength: 1024 });
  const fields = [name, email, password];
  const title = h("h1");
  const hint = h("p", { class: "login-hint" });
  const said = h("p", { class: "fault", role: "alert" }, notice ?? "");
  const submit = h("button", { class: "primary", type: "submit" });
  const other = h("button", { class: "link", type: "button", on: { click: () => choose(!isNew) } });

  function choose(registering) {
    isNew = registering;
    name.row.hidden = !isNew;
    name.input.disabled = !isNew;
    password.input.autocomplete = isNew ? "new-password" : "current-password";
    password.input.minLength = isNew ? 8 : 1;
    setText(title, isNew ? "Create an account" : "Welcome aboard");
    setText(hint, isNew ? "You can chat right away." : "Log in to go on chatting.");
    setText(submit, isNew ? "Create account" : "Log in");
    setText(other, isNew ? "I have an account" : "Create an account");
    fields.forEach(({ fault }) => setText(fault, ""));
    (isNew ? name : email).input.focus();
  }

  async function enter(event) {
    event.preventDefault();
    submit.disabled = true;
    [said, ...fields.map(({ fault }) => fault)].forEach((element) => setText(element, ""));
    const given = { email: email.input.value.trim(), password: password.input.value, device_name: deviceName() };
    try {
      if (isNew) await session.register({ ...given, name: name.input.value.trim() });
      else await session.login(given);
      onDone();
    } catch (error) {
      const at = fields.find((one) => one.name === error.field && !one.input.disabled);
      setText(at?.fault ?? said, faultText(error));
      (at ?? password).input.focus();
    } finally {
      submit.disabled = false;
    }
  }

  const form = h(
    "form",
    { on: { submit: enter } },
    title,
    hint,
    said,
    fields.map(({ row }) => row),
    submit,
    other,
  );
  queueMicrotask(() => choose(false));
  return h("main", { class: "login" }, h("img", { src: "/icon.svg", alt: "Trimaran", width: 56, height: 56 }), form);
}

function faultText(error) {
  if (error instanceof NetworkError) return "The server cannot be reached. Please try again.";
  if (!(error instanceof Problem)) throw error;
  if (error.status === 429) return `Too many attempts. Please try again in ${duration(error.retry_after_s)}.`;
  if (error.status === 401) return "E-mail or password is wrong.";
  if (error.code === "conflict") return "This e-mail has an account already: please log in.";
  return error.message;
}

function duration(seconds = 60) {
  return seconds < 90 ? `${Math.ceil(seconds)} seconds` : `${Math.ceil(seconds / 60)} minutes`;
}
