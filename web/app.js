/** @file The start: somebody is logged in, or the door is shown. */
import { Chat, Rest, Session, SessionOver, uuid7Source } from "./sdk/index.js";
import { clock, lock, randomBytes, socketUrl, storage } from "./browser.js";
import { People } from "./people.js";
import { joined } from "./views/dom.js";
import { loginView } from "./views/login.js";
import { Shell } from "./views/shell.js";

const root = document.querySelector("#app");
const session = new Session({ rest: new Rest("", fetch.bind(globalThis)), storage, clock, lock });
const newId = uuid7Source(clock.now, randomBytes);
/** Why the connection stopped, where that ends the session. */
const SESSION_ENDS = new Set(["signed_out", "revoked", "unauthenticated"]);

/** Ends what the last user had: listeners, timers, the connection. */
let leave = () => {};

function showLogin(notice) {
  leave();
  leave = () => {};
  root.replaceChildren(loginView(session, notice, showChat));
}

function showChat() {
  leave();
  const ending = new AbortController();
  const chat = new Chat({
    url: socketUrl(),
    session,
    open: (url) => new WebSocket(url, "trimaran.v1"),
    clock,
    random: Math.random,
    newId,
    storage,
    onChange: () => changed(),
  });
  const people = new People(request, () => changed());
  people.learn(chat.me);
  const shell = new Shell({ chat, people, request, logout, signal: ending.signal });
  const changed = joined(() => {
    if (ending.signal.aborted) return;
    const { state, reason } = chat.status;
    if (state === "stopped" && SESSION_ENDS.has(reason)) return signedOut();
    shell.render();
  });

  async function request(method, path, options) {
    try {
      return await chat.request(method, path, options);
    } catch (error) {
      if (error instanceof SessionOver) signedOut();
      throw error;
    }
  }

  function signedOut() {
    if (ending.signal.aborted) return;
    session.forget();
    showLogin("You have been signed out. Please log in again.");
  }

  async function logout() {
    chat.clearOutbox();
    chat.stop();
    await session.logout();
    showLogin();
  }

  leave = () => {
    ending.abort();
    chat.stop();
  };
  const { signal } = ending;
  addEventListener("online", () => chat.retryNow(), { signal });
  addEventListener("offline", () => chat.probe(), { signal });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && chat.retryNow(), {
    signal,
  });
  root.replaceChildren(shell.element);
  shell.render();
  chat.start();
}

if (session.current) showChat();
else showLogin();
