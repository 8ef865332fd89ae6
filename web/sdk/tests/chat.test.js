import assert from "node:assert/strict";
import { test } from "node:test";
import { Chat } from "../chat.js";
import { FakeClock, settle } from "./fakes/clock.js";
import { FakeSocket } from "./fakes/network.js";

const ROW = { first: 1, head: 0, delivered: 0, read: 0, unread: 0 };
const text = (seq, more = {}) => ({
  type: "message",
  conversation: "g:1",
  seq,
  sender: "bob",
  kind: "text",
  body: { text: `${seq}` },
  time_ms: seq,
  ...more,
});

class Bed {
  clock = new FakeClock();
  kept = new Map();
  sockets = [];
  ids = 0;

  begin() {
    this.chat = new Chat({
      url: "ws://test/",
      session: { current: { user: { id: "ann" }, device: "d" }, accessToken: async () => "token" },
      open: (url) => {
        this.sockets.push(new FakeSocket(url));
        return this.sockets.at(-1);
      },
      clock: this.clock,
      random: () => 0.5,
      newId: () => `id ${(this.ids += 1)}`,
      storage: {
        get: (key) => this.kept.get(key),
        set: (key, value) => this.kept.set(key, structuredClone(value)),
        remove: (key) => this.kept.delete(key),
      },
      onChange: () => {},
    });
    this.chat.start();
    return settle();
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** Welcome, these conversations, these frames, synced. */
  hello(rows = [{ conversation: "g:1", ...ROW }], frames = [], synced = {}) {
    const now = this.clock.now();
    this.socket.opens();
    this.socket.receives({
      type: "welcome",
      heartbeat_s: 25,
      time_ms: now,
      expires_ms: now + 900_000,
      limits: { body_bytes: 100 },
    });
    this.socket.receives({ type: "conversations", conversations: rows });
    frames.forEach((frame) => this.socket.receives(frame));
    this.socket.receives({ type: "synced", since: "s", pending: [], ...synced });
  }

  async online(...hello) {
    await this.begin();
    this.hello(...hello);
    return this;
  }

  async reconnect() {
    this.socket.closes(1006);
    this.clock.advance(1);
    await settle();
  }

  take(type) {
    return this.socket.take().filter((frame) => frame.type === type);
  }
}

test("nothing is sent before synced, then one per conversation, then the next after each ack", async () => {
  const bed = new Bed();
  await bed.begin();
  bed.chat.send("g:1", { body: { text: "one" } });
  bed.chat.send("g:1", { body: { text: "two" } });
  bed.hello();
  const [first, ...none] = bed.take("send");
  assert.deepEqual(none, []);
  assert.deepEqual([first.client_id, first.retry, first.body.text], ["id 1", undefined, "one"]);
  bed.socket.receives({ type: "ack", id: first.id, client_id: "id 1", conversation: "g:1", seq: 1, time_ms: 5 });
  assert.equal(bed.take("send")[0].client_id, "id 2");
  assert.deepEqual(
    bed.chat.state.conversations.get("g:1").log.items.map(({ seq, body }) => [seq, body.text]),
    [[1, "one"]],
  );
});

test("an ack that is lost leads to a retry with the same client id, and no second message", async () => {
  const bed = await new Bed().online();
  bed.chat.send("g:1", { body: { text: "one" } });
  await bed.reconnect();
  bed.hello();
  const [again] = bed.take("send");
  assert.deepEqual([again.client_id, again.retry], ["id 1", true]);
  bed.socket.receives({
    type: "ack",
    id: again.id,
    client_id: "id 1",
    conversation: "g:1",
    seq: 1,
    time_ms: 5,
    duplicate: true,
  });
  assert.equal(bed.chat.waiting("g:1").length, 0);
});

test("an own message that comes back in the replay counts as acknowledged", async () => {
  const bed = await new Bed().online();
  bed.chat.send("g:1", { body: { text: "one" } });
  await bed.reconnect();
  bed.hello([{ conversation: "g:1", ...ROW, head: 1 }], [text(1, { sender: "ann", client_id: "id 1" })]);
  assert.deepEqual(bed.take("send"), []);
  assert.equal(bed.chat.outbox.size, 0);
});

test("what was written before a reload is sent after it, as a retry", async () => {
  const bed = new Bed();
  await bed.begin();
  bed.chat.send("g:1", { body: { text: "one" } });
  bed.chat.stop();
  await bed.begin();
  bed.hello();
  assert.deepEqual(
    bed.take("send").map(({ client_id, retry }) => [client_id, retry]),
    [["id 1", true]],
  );
});

test("a first message to somebody names the person, later ones the conversation", async () => {
  const bed = await new Bed().online([]);
  bed.chat.send("d:ann:bob", { body: { text: "hi" } });
  const [first] = bed.take("send");
  assert.deepEqual([first.to, first.conversation], ["bob", undefined]);
  bed.socket.receives({
    type: "ack",
    id: first.id,
    client_id: first.client_id,
    conversation: "d:ann:bob",
    seq: 1,
    time_ms: 5,
  });
  bed.chat.send("d:ann:bob", { body: { text: "again" } });
  assert.equal(bed.take("send")[0].conversation, "d:ann:bob");
});

test("an ack above the cursor is shown as sent until a pull brings it", async () => {
  const bed = await new Bed().online();
  bed.chat.send("g:1", { body: { text: "mine" } });
  const [send] = bed.take("send");
  bed.socket.receives({ type: "ack", id: send.id, client_id: send.client_id, conversation: "g:1", seq: 2, time_ms: 5 });
  assert.deepEqual(
    bed.chat.waiting("g:1").map(({ isSent }) => isSent),
    [true],
  );
  const [pull] = bed.take("pull");
  assert.deepEqual([pull.conversation, pull.after], ["g:1", 0]);
  const messages = [text(1), text(2, { sender: "ann", client_id: send.client_id })];
  bed.socket.receives({ type: "page", id: pull.id, conversation: "g:1", messages, first: 1, head: 2, more: false });
  assert.deepEqual(bed.chat.waiting("g:1"), []);
  assert.equal(bed.chat.state.conversations.get("g:1").log.cursor, 2);
});

test("pending, behind and a gap are pulled, each conversation once at a time", async () => {
  const bed = await new Bed().online([{ conversation: "g:1", ...ROW, head: 9 }], [], {
    pending: [{ conversation: "g:1", head: 9 }],
  });
  assert.equal(bed.take("pull").length, 1);
  bed.socket.receives({ type: "behind", conversations: [{ conversation: "g:1", head: 12 }] });
  bed.socket.receives(text(14));
  assert.equal(bed.take("pull").length, 0);
});

test("a cut page is continued", async () => {
  const bed = await new Bed().online([{ conversation: "g:1", ...ROW, head: 3 }]);
  const [pull] = bed.take("pull");
  bed.socket.receives({
    type: "page",
    id: pull.id,
    conversation: "g:1",
    messages: [text(1)],
    first: 1,
    head: 3,
    more: true,
  });
  assert.equal(bed.take("pull")[0].after, 1);
});

test("a refused pull is made again after the pause that the server asks for", async () => {
  const bed = await new Bed().online([{ conversation: "g:1", ...ROW, head: 3 }]);
  const [pull] = bed.take("pull");
  bed.socket.receives({ type: "error", id: pull.id, code: "unavailable", message: "", retry_after_s: 7 });
  bed.clock.advance(6.9);
  assert.equal(bed.take("pull").length, 0);
  bed.clock.advance(0.2);
  assert.equal(bed.take("pull").length, 1);
});

test("a pull that brings nothing is not repeated at once", async () => {
  const bed = await new Bed().online([{ conversation: "g:1", ...ROW, head: 3 }]);
  const [pull] = bed.take("pull");
  bed.socket.receives({ type: "page", id: pull.id, conversation: "g:1", messages: [], first: 1, head: 3, more: false });
  assert.equal(bed.take("pull").length, 0);
});

test("what is applied is marked, at most once a second, and read where it was seen", async () => {
  const bed = await new Bed().online();
  bed.socket.receives(text(1));
  bed.clock.advance(0.1);
  assert.deepEqual(bed.take("mark"), [{ type: "mark", conversation: "g:1", delivered: 1 }]);
  bed.socket.receives(text(2));
  bed.chat.readAll("g:1");
  bed.clock.advance(0.5);
  assert.deepEqual(bed.take("mark"), []);
  bed.clock.advance(0.6);
  assert.deepEqual(bed.take("mark"), [{ type: "mark", conversation: "g:1", delivered: 2, read: 2 }]);
  bed.clock.advance(5);
  assert.deepEqual(bed.take("mark"), []);
});

test("the last marks are repeated after each hello", async () => {
  const bed = await new Bed().online();
  bed.socket.receives(text(1));
  bed.chat.readAll("g:1");
  bed.clock.advance(2);
  await bed.reconnect();
  bed.hello([{ conversation: "g:1", ...ROW, head: 1, delivered: 1, read: 1 }]);
  bed.clock.advance(2);
  assert.deepEqual(bed.take("mark"), [{ type: "mark", conversation: "g:1", delivered: 1, read: 1 }]);
});

test("a later hello says since, the first one of a page does not", async () => {
  const bed = await new Bed().online();
  assert.equal(bed.take("hello")[0].since, undefined);
  await bed.reconnect();
  bed.socket.opens();
  assert.equal(bed.take("hello")[0].since, "s");
});

test("peers of direct conversations are watched, anew after each hello", async () => {
  const row = { conversation: "d:ann:bob", ...ROW, peer: { user: "bob", name: "Bob", delivered: 0, read: 0 } };
  const bed = await new Bed().online([row]);
  assert.deepEqual(bed.take("watch"), [{ type: "watch", users: ["bob"] }]);
  bed.socket.receives({ type: "presence", user: "bob", state: "online" });
  assert.deepEqual(bed.take("watch"), []);
  await bed.reconnect();
  bed.hello([row]);
  assert.equal(bed.take("watch").length, 1);
  assert.equal(bed.chat.state.presence.size, 0);
});

test("typing is told at most every 4 s, its end once, and another's is over after 6 s", async () => {
  const bed = await new Bed().online();
  for (let i = 0; i < 5; i += 1) {
    bed.chat.typing("g:1", true);
    bed.clock.advance(1);
  }
  bed.chat.typing("g:1", false);
  bed.chat.typing("g:1", false);
  assert.deepEqual(
    bed.take("typing").map(({ on }) => on),
    [true, true, false],
  );
  bed.socket.receives({ type: "typing", conversation: "g:1", user: "bob", on: true });
  assert.deepEqual(bed.chat.typists("g:1"), ["bob"]);
  bed.clock.advance(6);
  assert.deepEqual(bed.chat.typists("g:1"), []);
});

test("unread counts texts of others, and reading on another device takes them away", async () => {
  const bed = await new Bed().online(
    [{ conversation: "g:1", ...ROW, head: 2, read: 1, unread: 1 }],
    [text(1), text(2)],
  );
  const conversation = bed.chat.state.conversations.get("g:1");
  assert.equal(conversation.unread, 1);
  bed.socket.receives(text(3));
  bed.socket.receives(text(4, { kind: "reaction", ref: 1, body: { emoji: "👍", on: true } }));
  bed.socket.receives(text(5));
  assert.equal(conversation.unread, 3);
  bed.socket.receives({ type: "marks", conversation: "g:1", marks: [{ user: "ann", read: 3 }] });
  assert.equal(conversation.unread, 1);
  bed.socket.receives(text(6, { sender: "ann" }));
  assert.equal(conversation.unread, 0);
});

test("an own message within a page takes away what was before it and keeps what follows, counted once", async () => {
  const bed = await new Bed().online([{ conversation: "g:1", ...ROW, head: 2, unread: 2 }]);
  const [pull] = bed.take("pull");
  const messages = [text(1), text(2), text(3, { sender: "ann" }), text(4), text(5)];
  bed.socket.receives({ type: "page", id: pull.id, conversation: "g:1", messages, first: 1, head: 5, more: false });
  assert.equal(bed.chat.state.conversations.get("g:1").unread, 2);
});

test("what was unread below the window is counted anew once all that is unread is in it", async () => {
  const row = { conversation: "g:1", ...ROW, head: 6, delivered: 3, unread: 5 };
  const bed = await new Bed().online([row], [text(4), text(5, { sender: "ann" }), text(6)]);
  assert.equal(bed.chat.state.conversations.get("g:1").unread, 1);
});

test("ticks follow the peer's marks", async () => {
  const bed = await new Bed().online([
    { conversation: "d:ann:bob", ...ROW, peer: { user: "bob", name: "Bob", delivered: 0, read: 0 } },
  ]);
  const conversation = bed.chat.state.conversations.get("d:ann:bob");
  bed.socket.receives(text(1, { conversation: "d:ann:bob", sender: "ann" }));
  assert.equal(conversation.tick(1), "sent");
  bed.socket.receives({ type: "marks", conversation: "d:ann:bob", marks: [{ user: "bob", delivered: 1, read: 0 }] });
  assert.equal(conversation.tick(1), "delivered");
  bed.socket.receives({ type: "marks", conversation: "d:ann:bob", marks: [{ user: "bob", read: 1 }] });
  assert.equal(conversation.tick(1), "read");
});

test("one who was removed pulls up to the removal and no further", async () => {
  const bed = await new Bed().online();
  bed.socket.receives({
    type: "conversations",
    conversations: [{ conversation: "g:1", ...ROW, head: 2, role: "none" }],
  });
  const [pull] = bed.take("pull");
  const messages = [text(1), text(2, { kind: "member", body: { removed: ["ann"], by: "bob" } })];
  bed.socket.receives({ type: "page", id: pull.id, conversation: "g:1", messages, first: 1, head: 2, more: false });
  assert.deepEqual(bed.take("pull"), []);
  assert.ok(bed.chat.state.conversations.get("g:1").isRemoved);
});

test("a body above the server's limit is refused where it is written", async () => {
  const bed = await new Bed().online();
  assert.throws(() => bed.chat.send("g:1", { body: { text: "x".repeat(100) } }), RangeError);
  assert.equal(bed.chat.outbox.size, 0);
});

test("unknown frames and fields change nothing", async () => {
  const bed = await new Bed().online();
  bed.socket.receives({ type: "party", when: "now" });
  bed.socket.receives({ ...text(1), colour: "red" });
  assert.equal(bed.chat.status.state, "online");
  assert.equal(bed.chat.state.conversations.get("g:1").log.cursor, 1);
});
