import assert from "node:assert/strict";
import { test } from "node:test";
import { Connection, PONG_S, SILENCE_S } from "../connection.js";
import { NetworkError } from "../rest.js";
import { SessionOver } from "../session.js";
import { FakeClock, settle } from "./fakes/clock.js";
import { FakeSocket } from "./fakes/network.js";

class Bed {
  clock = new FakeClock();
  sockets = [];
  frames = [];
  statuses = [];
  tokens = [];
  opened = 0;
  token = async (fresh) => {
    this.tokens.push(fresh);
    return fresh ? "fresh" : "token";
  };

  constructor(random = () => 0.5) {
    this.connection = new Connection({
      url: "ws://test/chat/ws",
      open: (url) => {
        this.sockets.push(new FakeSocket(url));
        return this.sockets.at(-1);
      },
      clock: this.clock,
      random,
      token: (fresh) => this.token(fresh),
      hello: () => ({ device: "device", since: undefined }),
      onOpened: () => (this.opened += 1),
      onFrame: (frame) => this.frames.push(frame),
      onStatus: (status) => this.statuses.push(status),
    });
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get state() {
    return this.connection.status.state;
  }

  async connect() {
    this.connection.start();
    await settle();
    return this;
  }

  async online() {
    await this.connect();
    this.welcomed();
    this.socket.receives({ type: "synced", since: "x", pending: [] });
    this.socket.take();
    return this;
  }

  welcomed(socket = this.socket, life_s = 900) {
    socket.opens();
    const now = this.clock.now();
    socket.receives({ type: "welcome", heartbeat_s: 25, time_ms: now, expires_ms: now + life_s * 1000 });
  }
}

test("hello is the first frame, with token and device", async () => {
  const bed = await new Bed().connect();
  bed.socket.opens();
  assert.deepEqual(bed.socket.take(), [{ type: "hello", token: "token", device: "device" }]);
});

test("it goes from connecting over syncing to online", async () => {
  const bed = await new Bed().online();
  assert.deepEqual(
    bed.statuses.map(({ state }) => state),
    ["connecting", "syncing", "online"],
  );
  assert.equal(bed.opened, 1);
});

test("attempts are spaced by full jitter that doubles to 30 s", async () => {
  const bed = await new Bed(() => 1).connect();
  for (const expected_s of [0.5, 1, 2, 4, 8, 16, 30, 30]) {
    bed.socket.closes(1006);
    assert.equal(bed.state, "waiting");
    assert.equal((bed.connection.status.until_ms - bed.clock.now()) / 1000, expected_s);
    bed.clock.advance(expected_s);
    await settle();
  }
});

test("the backing off begins anew after a steady connection only", async () => {
  const bed = await new Bed(() => 1).online();
  bed.socket.closes(1011);
  assert.equal(bed.connection.status.until_ms - bed.clock.now(), 500);
  bed.clock.advance(0.5);
  await settle();
  bed.welcomed();
  bed.socket.receives({ type: "synced" });
  bed.socket.closes(1011);
  assert.equal(bed.connection.status.until_ms - bed.clock.now(), 1000);
  bed.clock.advance(1);
  await settle();
  bed.welcomed();
  bed.socket.receives({ type: "synced" });
  bed.clock.advance(6);
  bed.socket.closes(1011);
  assert.equal(bed.connection.status.until_ms - bed.clock.now(), 500);
});

for (const code of [1000, 1001, 1006, 1012, 4000, 4001, 4002, 4004, 4005, 4042, 4099]) {
  test(`close code ${code} reconnects`, async () => {
    const bed = await new Bed().online();
    bed.socket.closes(code);
    assert.equal(bed.state, "waiting");
    bed.clock.advance(1);
    await settle();
    assert.equal(bed.sockets.length, 2);
    assert.deepEqual(bed.tokens, [false, false]);
  });
}

for (const [code, reason] of [
  [4500, "unauthenticated"],
  [4501, "no_hello"],
  [4502, "revoked"],
  [4503, "replaced"],
  [4504, "abuse"],
  [4599, "refused"],
]) {
  test(`close code ${code} does not reconnect`, async () => {
    const bed = await new Bed().online();
    bed.socket.closes(code);
    assert.deepEqual(bed.connection.status, { state: "stopped", reason });
    bed.clock.advance(3600);
    await settle();
    assert.equal(bed.sockets.length, 1);
  });
}

test("close code 4003 refreshes the token before it reconnects", async () => {
  const bed = await new Bed().online();
  bed.socket.closes(4003);
  bed.clock.advance(1);
  await settle();
  bed.socket.opens();
  assert.equal(bed.socket.take()[0].token, "fresh");
});

test("the token is renewed a minute before it expires, and again", async () => {
  const bed = await new Bed().online();
  const answering = () => bed.clock.advance(20) ?? bed.socket.receives({ type: "pong" });
  for (let i = 0; i < 42; i += 1) answering();
  bed.socket.take();
  await settle();
  assert.deepEqual(bed.socket.take(), [{ type: "renew", id: "renew", token: "fresh" }]);
  bed.socket.receives({ type: "renewed", id: "renew", expires_ms: bed.clock.now() + 900_000 });
  for (let i = 0; i < 41; i += 1) answering();
  await settle();
  assert.equal(bed.socket.take().filter(({ type }) => type === "renew").length, 0);
  answering();
  await settle();
  assert.equal(bed.socket.take().filter(({ type }) => type === "renew").length, 1);
});

test("a short-lived token is renewed at half its life", async () => {
  const bed = await new Bed().connect();
  bed.welcomed(bed.socket, 4);
  bed.socket.receives({ type: "synced" });
  bed.socket.take();
  bed.clock.advance(2);
  await settle();
  assert.equal(bed.socket.take()[0].type, "renew");
});

test("it gives up after 10 s of silence before synced, and a frame starts the 10 s anew", async () => {
  const bed = await new Bed().connect();
  bed.clock.advance(SILENCE_S - 1);
  bed.welcomed();
  bed.clock.advance(SILENCE_S - 1);
  bed.socket.receives({ type: "message" });
  bed.clock.advance(SILENCE_S - 1);
  assert.equal(bed.state, "syncing");
  bed.clock.advance(1);
  assert.equal(bed.state, "waiting");
});

test("a silent connection is probed after a heartbeat, and given up if nothing answers", async () => {
  const bed = await new Bed().online();
  bed.clock.advance(25);
  assert.deepEqual(bed.socket.take(), [{ type: "ping" }]);
  bed.clock.advance(PONG_S - 1);
  bed.socket.receives({ type: "pong" });
  bed.clock.advance(20);
  assert.equal(bed.state, "online");
  bed.clock.advance(5 + PONG_S);
  assert.equal(bed.state, "waiting");
});

test("when moved it connects there first and closes the old one after the welcome", async () => {
  const bed = await new Bed().online();
  const old = bed.socket;
  old.receives({ type: "moved", url: "ws://test/chat/n2/ws", within_s: 5 });
  await settle();
  assert.equal(bed.socket.url, "ws://test/chat/n2/ws");
  assert.equal(bed.state, "online");
  assert.equal(old.readyState, 1);
  bed.welcomed(bed.socket);
  assert.equal(old.closedWith, 1000);
  assert.equal(bed.state, "syncing");
});

test("a move that fails leaves the old connection as it is", async () => {
  const bed = await new Bed().online();
  const old = bed.socket;
  old.receives({ type: "moved", url: "ws://test/chat/n2/ws", within_s: 5 });
  await settle();
  bed.socket.closes(1006);
  assert.equal(bed.state, "online");
  assert.ok(bed.connection.send({ type: "ping" }));
  assert.equal(old.take().length, 1);
});

test("without an answer to the refresh it backs off; with a refusal the session is over", async () => {
  const bed = new Bed();
  bed.token = () => Promise.reject(new NetworkError());
  await bed.connect();
  assert.equal(bed.state, "waiting");
  bed.token = () => Promise.reject(new SessionOver());
  bed.connection.retryNow();
  await settle();
  assert.deepEqual(bed.connection.status, { state: "stopped", reason: "signed_out" });
});

test("stop says bye, and nothing follows", async () => {
  const bed = await new Bed().online();
  bed.connection.stop();
  assert.deepEqual(bed.socket.take(), [{ type: "bye" }]);
  assert.equal(bed.clock.next_s, undefined);
});

test("stop while the token is awaited opens no socket", async () => {
  const bed = new Bed();
  bed.connection.start();
  bed.connection.stop();
  await settle();
  assert.equal(bed.sockets.length, 0);
});

test("the user may shorten the wait", async () => {
  const bed = await new Bed().connect();
  bed.socket.closes(1006);
  bed.connection.retryNow();
  await settle();
  assert.equal(bed.sockets.length, 2);
  bed.clock.advance(60);
  await settle();
  assert.ok(bed.sockets.length > 2); // silence, and on
});
