// A client made of Node's `ws` and nothing of ours. Used by the scripts beside it.

import { randomUUID } from "node:crypto";

import WebSocket from "ws";

const WAIT_MS = 20_000;

export async function register(url, name) {
  const response = await fetch(`${url}/user-service/auth/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email: `${name}-${randomUUID()}@example.org`, name, password: "correct horse 1" }),
  });
  if (response.status !== 201) throw new Error(`register: ${response.status} ${await response.text()}`);
  const { user, access_token: token } = await response.json();
  return { id: user.id, token };
}

export class Peer {
  #kept = [];
  #waiting = null;
  #ids = 0;

  static async open(url, options = {}) {
    const peer = new Peer();
    peer.socket = new WebSocket(`${url.replace("http", "ws")}/chat/ws`, ["trimaran.v1"], options);
    peer.socket.on("message", (data, isBinary) => {
      peer.#kept.push(isBinary ? { type: "(binary)" } : JSON.parse(data.toString("utf8")));
      peer.#look();
    });
    peer.closed = new Promise((resolve) => peer.socket.once("close", (code) => resolve(code)));
    await new Promise((resolve, reject) => peer.socket.once("open", resolve).once("error", reject));
    return peer;
  }

  say(type, fields = {}) {
    this.socket.send(JSON.stringify({ type, ...fields }));
  }

  ask(type, fields = {}) {
    const id = ++this.#ids;
    this.say(type, { id, ...fields });
    return this.wait((frame) => frame.id === id, `the answer to ${type}`);
  }

  // All that comes from `hello` to `synced`, by type.
  async hello(token, fields = {}) {
    this.say("hello", { token, ...fields });
    const synced = await this.next("synced");
    const [before, after] = [this.#kept, []];
    this.#kept = after;
    const of = (type) => before.filter((frame) => frame.type === type);
    const conversations = of("conversations").flatMap((frame) => frame.conversations);
    return { welcome: of("welcome")[0], conversations, messages: of("message"), synced };
  }

  send(conversation, text, fields = {}) {
    return this.ask("send", { client_id: randomUUID(), conversation, body: { text }, ...fields });
  }

  next(type) {
    return this.wait((frame) => frame.type === type, type);
  }

  wait(isIt, what) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${what} did not come: ${JSON.stringify(this.#kept)}`)), WAIT_MS);
      this.#waiting = { isIt, resolve: (frame) => (clearTimeout(late), resolve(frame)) };
      this.#look();
    });
  }

  close() {
    this.socket.close(1000);
    return this.closed;
  }

  #look() {
    const place = this.#waiting === null ? -1 : this.#kept.findIndex(this.#waiting.isIt);
    if (place < 0) return;
    const { resolve } = this.#waiting;
    this.#waiting = null;
    resolve(this.#kept.splice(place, 1)[0]);
  }
}
