/** @file Links between clients and the fake server: two queues each, delivered frame by frame, or cut. */

/** What a browser's WebSocket is to the SDK. */
export class FakeSocket {
  readyState = 0;
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;

  constructor(url) {
    this.url = url;
    this.sent = [];
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 3;
    this.closedWith = code;
  }

  // ---- the test's side

  opens() {
    this.readyState = 1;
    this.onopen?.();
  }

  receives(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  closes(code) {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  /** Takes the frames that were sent since the last call. */
  take() {
    return this.sent.splice(0);
  }
}

/** One connection of a user's device with a FakeServer. */
export class Link {
  isOpen = false;
  behind = new Set();
  #down = [];
  #later = [];

  constructor(server, user, device, socket) {
    Object.assign(this, { server, user, device, socket });
    server.links.add(this);
    socket.opens();
  }

  push(frame) {
    this.#down.push(JSON.stringify(frame));
  }

  /** A page is read from the store; entries pushed meanwhile overtake it. */
  pushLater(frame) {
    this.#later.push(frame);
  }

  /** What was read from the store is on its way. */
  readDone() {
    this.#later.splice(0).forEach((frame) => this.push(frame));
  }

  get isIdle() {
    const waiting = [this.socket.sent, this.#down, this.#later];
    return waiting.every((queue) => queue.length === 0) && this.behind.size === 0;
  }

  get isCut() {
    return !this.server.links.has(this) || this.socket.readyState === 3;
  }

  /** One frame towards the server, if there is one. */
  up() {
    const frame = this.socket.sent.shift();
    if (frame && !this.isCut) this.server.received(this, frame);
  }

  /** One frame towards the client, if there is one. */
  down() {
    const text = this.#down.shift();
    if (text && !this.isCut) this.socket.receives(JSON.parse(text));
  }

  /** Whatever is under way, in either direction, is lost. */
  cut() {
    this.server.links.delete(this);
    this.isOpen = false;
    this.socket.closes(1006);
  }
}
