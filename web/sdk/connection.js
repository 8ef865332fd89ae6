/**
 * @file One WebSocket at a time, kept up: hello, silence, tokens, close codes, backing off.
 *
 * Knows frames only as far as the life of a connection needs them (`welcome`, `synced`, `moved`, `renewed`,
 * `pong`); everything goes on to `onFrame`. A browser answers the server's pings by itself and shows them to
 * nobody, so silence is probed with a `ping` frame of our own.
 */
import { Backoff } from "./backoff.js";
import { SessionOver } from "./session.js";

/** Nothing came for so long before `synced`: the connection is given up (also while it is being opened). */
export const SILENCE_S = 10;
/** After `synced`, silence is probed once per heartbeat; the answer may take so long. */
export const PONG_S = 5;
const RENEW_BEFORE_S = 60;
/** Online for so long, the connection counts as good: one that breaks right after `synced` keeps backing off. */
const STEADY_S = 5;

/** Why the connection will not be tried again by itself, by close code. */
const FINAL = new Map([
  [4500, "unauthenticated"],
  [4501, "no_hello"],
  [4502, "revoked"],
  [4503, "replaced"],
  [4504, "abuse"],
]);

/**
 * @typedef {object} Status
 * @property {"connecting"|"syncing"|"online"|"waiting"|"stopped"} state
 * @property {number} [until_ms] `waiting`: when the next attempt begins.
 * @property {string} [reason] `stopped`: unauthenticated, no_hello, revoked, replaced, abuse, signed_out or closed.
 */

export class Connection {
  #options;
  #backoff;
  /** The connection in use, and the one that a `moved` opens beside it. */
  #socket;
  #next;
  #timers = new Map();
  /** Whoever waits for a token looks whether it is still wanted. */
  #attempt;
  #heartbeat_s = 25;
  #serverAhead_ms = 0;
  /** @type {Status} */
  status = { state: "stopped", reason: "closed" };

  /**
   * @param {object} options
   * @param {string} options.url
   * @param {(url: string) => WebSocket} options.open
   * @param {import("./types.js").Clock} options.clock
   * @param {() => number} options.random
   * @param {(fresh: boolean) => Promise<string>} options.token A living access token; `fresh`: not the one used last.
   * @param {() => object} options.hello Further fields of the hello.
   * @param {() => void} options.onOpened A connection begins: before its first frame.
   * @param {(frame: object) => void} options.onFrame
   * @param {(status: Status) => void} options.onStatus
   */
  constructor(options) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
  }

  get isSynced() {
    return this.status.state === "online";
  }

  start() {
    if (this.status.state === "stopped") void this.#connect(this.#options.url, false);
  }

  /** Ends it for good; `start` begins anew. Presence goes offline at once. */
  stop(reason = "closed") {
    this.send({ type: "bye" });
    this.#end(reason);
  }

  /** Does not wait any longer: the user or the network says it may work now. */
  retryNow() {
    if (this.status.state === "waiting") void this.#connect(this.#options.url, false);
    else this.probe();
  }

  /** Looks whether the connection still lives; else it ends in 5 s. */
  probe() {
    if (!this.isSynced || this.#timers.has("pong")) return;
    this.send({ type: "ping" });
    this.#timer("pong", PONG_S, () => this.#lost());
  }

  /** @returns {boolean} Whether it was handed to an open socket; nothing more is promised. */
  send(frame) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  async #connect(url, refreshed, isMove = false) {
    this.#cancel("backoff");
    if (!isMove) this.#set({ state: "connecting" });
    const attempt = (this.#attempt = {});
    let token;
    try {
      token = await this.#options.token(refreshed);
    } catch (error) {
      if (this.#attempt !== attempt) return;
      if (error instanceof SessionOver) this.#end("signed_out");
      else this.#wait();
      return;
    }
    if (this.#attempt !== attempt) return;
    if (this.#next) discard(this.#next);
    const socket = this.#options.open(url);
    this.#next = socket;
    this.#timer("silence", SILENCE_S, () => this.#gone(socket, 1006));
    socket.onopen = () => {
      if (this.#next !== socket) return;
      const hello = { type: "hello", token, ...this.#options.hello() };
      socket.send(JSON.stringify(hello));
    };
    socket.onmessage = ({ data }) => this.#received(socket, data);
    socket.onclose = ({ code }) => this.#gone(socket, code);
    socket.onerror = () => {}; // a close event follows, and says no less
  }

  #received(socket, data) {
    if (socket !== this.#socket && socket !== this.#next) return;
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return; // not for us: the server speaks JSON
    }
    if (frame.type === "welcome" && socket === this.#next) this.#welcome(socket, frame);
    if (socket !== this.#socket) {
      this.#options.onFrame(frame); // an error that says why the hello was refused
      return;
    }
    this.#cancel("pong");
    if (this.status.state === "online") this.#timer("heartbeat", this.#heartbeat_s, () => this.probe());
    else this.#timer("silence", SILENCE_S, () => this.#gone(socket, 1006));
    if (frame.type === "synced") this.#synced();
    else if (frame.type === "renewed") this.#renewLater(frame.expires_ms - this.#serverNow());
    else if (frame.type === "moved") void this.#connect(frame.url, false, true);
    this.#options.onFrame(frame);
  }

  #welcome(socket, frame) {
    const old = this.#socket;
    this.#socket = socket;
    this.#next = undefined;
    if (old) discard(old);
    this.#heartbeat_s = frame.heartbeat_s ?? 25;
    this.#serverAhead_ms = frame.time_ms - this.#options.clock.now();
    this.#renewLater(frame.expires_ms - frame.time_ms);
    this.#set({ state: "syncing" });
    this.#options.onOpened();
  }

  #synced() {
    this.#cancel("silence");
    this.#timer("steady", STEADY_S, () => this.#backoff.reset());
    this.#timer("heartbeat", this.#heartbeat_s, () => this.probe());
    this.#set({ state: "online" });
  }

  #serverNow() {
    return this.#options.clock.now() + this.#serverAhead_ms;
  }

  #renewLater(life_ms) {
    const life_s = Math.max(0, life_ms / 1000);
    this.#timer("renew", Math.max(life_s - RENEW_BEFORE_S, life_s / 2), () => void this.#renew());
  }

  async #renew() {
    const socket = this.#socket;
    try {
      const token = await this.#options.token(true);
      if (socket === this.#socket) this.send({ type: "renew", id: "renew", token });
    } catch (error) {
      if (error instanceof SessionOver) this.#end("signed_out");
      else if (socket === this.#socket) this.#timer("renew", 5, () => void this.#renew());
    }
  }

  #lost() {
    this.#gone(this.#socket, 1006);
  }

  #gone(socket, code) {
    if (!socket || (socket !== this.#socket && socket !== this.#next)) return;
    discard(socket);
    if (socket === this.#next && this.#socket) {
      this.#next = undefined; // the move failed; the old connection goes on until its server closes it
      return;
    }
    const final = code >= 4500 && code < 4600;
    if (final) this.#end(FINAL.get(code) ?? "refused");
    else this.#wait(code === 4003);
  }

  #wait(refreshFirst = false) {
    this.#attempt = undefined;
    this.#forget();
    const wait_s = this.#backoff.next();
    this.#set({ state: "waiting", until_ms: this.#options.clock.now() + wait_s * 1000 });
    this.#timer("backoff", wait_s, () => void this.#connect(this.#options.url, refreshFirst));
  }

  #end(reason) {
    this.#attempt = undefined;
    this.#forget();
    this.#set({ state: "stopped", reason });
  }

  #forget() {
    for (const name of [...this.#timers.keys()]) this.#cancel(name);
    for (const socket of [this.#socket, this.#next]) if (socket) discard(socket);
    this.#socket = undefined;
    this.#next = undefined;
  }

  #set(status) {
    this.status = status;
    this.#options.onStatus(status);
  }

  #timer(name, delay_s, call) {
    this.#cancel(name);
    const handle = this.#options.clock.after(() => {
      this.#timers.delete(name);
      call();
    }, delay_s);
    this.#timers.set(name, handle);
  }

  #cancel(name) {
    if (!this.#timers.has(name)) return;
    this.#options.clock.cancel(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

/** Nothing more is heard of it; the closing handshake of a dead one may take minutes, and nobody waits for it. */
function discard(socket) {
  socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
  try {
    socket.close(1000);
  } catch {
    // never opened: there is nothing to close
  }
}
