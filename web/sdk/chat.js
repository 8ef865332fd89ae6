/**
 * @file A user's chat: state, outbox, connection and session joined. The only part of the SDK that an application
 * needs; everything it waits for or shows comes through here.
 *
 * Nothing here decides about order or repetition (log, outbox and state do); this file carries their wishes to the
 * connection and the answers back, at the few moments when that is due: after each frame, and by three timers.
 */
import { Connection } from "./connection.js";
import { peerOf } from "./ids.js";
import { Outbox } from "./outbox.js";
import { ChatState, TYPING_S } from "./state.js";

const MARKS_S = 1;
/** What is applied and then shown becomes one mark, not two. */
const MARKS_JOIN_S = 0.05;
/** Frames per connection are limited; after a hello thousands of marks may be due. */
const MARKS_AT_ONCE = 40;
const WATCH_MAX = 200;
const TYPING_REPEAT_S = 4;
/** Unsent messages kept; more are refused where they are written. */
export const OUTBOX_MAX = 500;

/**
 * @typedef {object} Options
 * @property {string} url Of the WebSocket.
 * @property {import("./session.js").Session} session Logged in.
 * @property {(url: string) => WebSocket} open
 * @property {import("./types.js").Clock} clock
 * @property {() => number} random
 * @property {() => string} newId Client ids.
 * @property {import("./types.js").Storage} storage Where the outbox survives a reload.
 * @property {() => void} onChange Something that is shown may have changed. Called often: join the calls.
 */

export class Chat {
  #options;
  #connection;
  #answers = new Map();
  #lastId = 0;
  #timers = new Map();
  #watching = "";
  #marked_ms = 0;
  /** By conversation: when typing was last told. */
  #typed = new Map();
  /** Acknowledged above the cursor: shown until a pull brings them. @type {{item: object, seq: number}[]} */
  #ahead = [];

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.me = options.session.current.user;
    this.state = new ChatState(this.me.id);
    this.outbox = new Outbox(options.storage.get(this.#outboxKey) ?? [], options.random);
    this.limits = {};
    this.#connection = new Connection({
      url: options.url,
      open: options.open,
      clock: options.clock,
      random: options.random,
      token: (fresh) => options.session.accessToken(fresh),
      hello: () => ({ device: options.session.current?.device, since: this.state.since }),
      onOpened: () => this.#opened(),
      onFrame: (frame) => this.#received(frame),
      onStatus: () => this.#statusChanged(),
    });
  }

  /** @returns {import("./connection.js").Status} */
  get status() {
    return this.#connection.status;
  }

  start() {
    this.#connection.start();
  }

  /** Goes offline at once. The outbox stays where it is. */
  stop() {
    this.#connection.stop();
    for (const name of [...this.#timers.keys()]) this.#cancel(name);
  }

  /** The network came back, or the user is impatient. */
  retryNow() {
    this.#connection.retryNow();
  }

  /** The network may be gone: find out now. */
  probe() {
    this.#connection.probe();
  }

  /** Forgets what is waiting to be sent: for logging out. */
  clearOutbox() {
    this.outbox = new Outbox([], this.#options.random);
    this.#options.storage.remove(this.#outboxKey);
  }

  /**
   * Sends, now or when there is a connection, once and in order.
   * @param {string} conversation Also a direct one that does not exist yet.
   * @param {{kind?: "text"|"edit"|"delete"|"reaction", body?: object, ref?: number}} what
   * @returns {string} The client id.
   * @throws {RangeError} Too long, or too much is waiting.
   */
  send(conversation, { kind = "text", body = {}, ref }) {
    const limit = this.limits.body_bytes ?? 16 * 1024;
    const bytes = new TextEncoder().encode(JSON.stringify(body)).length;
    if (bytes > limit) throw new RangeError(`The message is too long: ${bytes} bytes of at most ${limit}.`);
    if (this.outbox.size >= OUTBOX_MAX) throw new RangeError("Too many messages are waiting to be sent.");
    const client_id = this.#options.newId();
    this.outbox.add({ client_id, conversation, kind, body, ref, created_ms: this.#options.clock.now() });
    this.#typed.delete(conversation);
    this.#saveOutbox();
    this.#pump();
    return client_id;
  }

  /**
   * What was written and is not in the log yet, in order; `isSent` where it is acknowledged.
   * @returns {(import("./types.js").Waiting & {isSent: boolean})[]}
   */
  waiting(conversation) {
    const ahead = this.#ahead.filter(
      ({ item, seq }) => item.conversation === conversation && this.#isAhead(conversation, seq),
    );
    const sent = ahead.map(({ item }) => ({ ...item, isSent: true }));
    return sent.concat(this.outbox.of(conversation).map((item) => ({ ...item, isSent: false })));
  }

  /** Tries a send again that was refused. */
  retry(client_id) {
    this.outbox.retry(client_id);
    this.#saveOutbox();
    this.#pump();
  }

  /** Gives a send up that was refused. */
  discard(client_id) {
    this.outbox.discard(client_id);
    this.#saveOutbox();
    this.#options.onChange();
  }

  /** The user sees the newest of this conversation now. */
  readAll(conversation) {
    if (this.state.readAll(conversation)) this.#pump();
  }

  /** Fetches older entries, if there are any and none are under way. */
  loadOlder(conversation) {
    if (!this.#connection.isSynced) return;
    const pull = this.state.takeOlder(conversation);
    if (pull) this.#pull(pull);
  }

  /** The user types, or stopped; to be called on every input. */
  typing(conversation, on) {
    if (!this.state.conversations.has(conversation)) return;
    const now = this.#options.clock.now();
    const told = this.#typed.get(conversation) ?? -Infinity;
    if (on ? now - told < TYPING_REPEAT_S * 1000 : now - told > TYPING_S * 1000) return;
    if (on) this.#typed.set(conversation, now);
    else this.#typed.delete(conversation);
    if (this.#connection.isSynced) this.#connection.send({ type: "typing", conversation, on });
  }

  /** Who types there now. @returns {string[]} */
  typists(conversation) {
    return this.state.typists(conversation, this.#options.clock.now());
  }

  /** Asks the REST part; paths begin with the service. */
  request(method, path, options) {
    return this.#options.session.request(method, path, options);
  }

  get #outboxKey() {
    return `trimaran.outbox.${this.me.id}`;
  }

  #statusChanged() {
    if (!this.#connection.isSynced) {
      this.outbox.disconnected();
      this.#answers.clear();
      this.#watching = "";
      this.state.isSynced = false;
    }
    this.#options.onChange();
  }

  #opened() {
    this.state.connected();
    this.outbox.disconnected();
    this.#answers.clear();
  }

  #received(frame) {
    const now = this.#options.clock.now();
    const answer = frame.id === undefined ? undefined : this.#answers.get(frame.id);
    if (answer) this.#answers.delete(frame.id);
    if (frame.type === "welcome") this.limits = frame.limits ?? {};
    else if (frame.type === "ack") this.#acked(frame, now);
    else if (frame.type === "page") this.#confirm(answer ? this.state.pulled(answer.pull, frame, now) : []);
    else if (frame.type === "error") this.#refused(frame, answer, now);
    else this.#confirm(this.state.apply(frame, now));
    if (frame.type === "typing" && frame.on) this.#timer("typing", TYPING_S, () => this.#options.onChange());
    this.#pump();
  }

  #acked(ack, now) {
    const item = this.outbox.confirmed(ack.client_id);
    if (!item) return; // it came back as an entry before
    this.#saveOutbox();
    const { kind, body, ref, client_id } = item;
    const { conversation, seq, time_ms } = ack;
    this.state.offer({ conversation, seq, sender: this.me.id, client_id, kind, body, ref, time_ms }, now);
    this.#ahead = this.#ahead.filter(({ item, seq }) => this.#isAhead(item.conversation, seq));
    if (this.#isAhead(conversation, seq)) this.#ahead.push({ item, seq });
  }

  #isAhead(conversation, seq) {
    return seq > this.state.conversations.get(conversation).log.cursor;
  }

  /** Own entries that come back from the log are as good as their ack. */
  #confirm(applied) {
    const own = applied.filter(({ sender, client_id }) => sender === this.me.id && client_id);
    if (own.filter(({ client_id }) => this.outbox.confirmed(client_id)).length) this.#saveOutbox();
  }

  #refused(error, answer, now) {
    if (answer?.pull) {
      this.state.pullFailed(answer.pull, error, now);
    } else if (answer?.client_id ?? error.client_id) {
      this.outbox.refused(answer?.client_id ?? error.client_id, error, now);
      this.#saveOutbox();
    }
  }

  /** Hands on whatever is wished for now, and sets the timers for what is not due yet. */
  #pump() {
    const now = this.#options.clock.now();
    for (const pull of this.state.takePulls(now)) this.#pull(pull);
    if (this.#connection.isSynced) {
      this.#transmit(now);
      this.#watch();
      this.#markSoon(now);
      const later = [this.outbox.nextTake_s(now), this.state.nextPull_s(now)].filter((delay) => delay !== undefined);
      if (later.length) this.#timer("later", Math.min(...later) + 0.01, () => this.#pump());
    }
    this.#options.onChange();
  }

  #transmit(now) {
    for (const { item, retry } of this.outbox.take(now)) {
      const { client_id, conversation, kind, body, ref } = item;
      const id = this.#ask({ client_id });
      const peer = peerOf(conversation, this.me.id);
      const where = peer && !this.state.conversations.has(conversation) ? { to: peer } : { conversation };
      this.#connection.send({ type: "send", id, client_id, ...where, kind, body, ref, ...(retry ? { retry } : {}) });
    }
  }

  #pull(pull) {
    this.#connection.send({ type: "pull", id: this.#ask({ pull }), ...pull });
  }

  #watch() {
    const users = this.state.watched(Math.min(WATCH_MAX, this.limits.watched_users ?? WATCH_MAX));
    const watching = users.sort().join();
    if (watching === this.#watching) return;
    this.#watching = watching;
    this.#connection.send({ type: "watch", users });
  }

  #mark() {
    if (!this.#connection.isSynced) return;
    this.#marked_ms = this.#options.clock.now();
    for (const frame of this.state.takeMarks(MARKS_AT_ONCE)) this.#connection.send(frame);
    this.#markSoon(this.#marked_ms);
  }

  #markSoon(now) {
    if (!this.state.areMarksDue || this.#timers.has("marks")) return;
    const rest_s = MARKS_S - (now - this.#marked_ms) / 1000;
    this.#timer("marks", Math.max(MARKS_JOIN_S, rest_s), () => this.#mark());
  }

  #ask(about) {
    this.#lastId += 1;
    this.#answers.set(this.#lastId, about);
    return this.#lastId;
  }

  #saveOutbox() {
    this.#options.storage.set(this.#outboxKey, this.outbox.save());
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
