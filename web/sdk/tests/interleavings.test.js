/**
 * @file Random histories: three people, delays, cuts, lost pushes, hidden entries, against the naive server.
 *
 * Whatever happens, in the end each client has applied every entry once and in order, shows what a reader of the
 * whole log would show, and every message that was written is in the log once, in the order it was written.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Chat } from "../chat.js";
import { FakeClock, seeded, settle } from "./fakes/clock.js";
import { FakeSocket, Link } from "./fakes/network.js";
import { FakeServer, asOfNow } from "./fakes/server.js";

const RUNS = Number(process.env.TRIMARAN_TEST_SEEDS ?? 100);
const STEPS = 600;
const USERS = ["ann", "bob", "cat"];
const DIRECT = "d:ann:bob";
const GROUP = "g:team";

class World {
  written = new Map();
  count = 0;

  constructor(seed) {
    this.random = seeded(seed);
    this.clock = new FakeClock();
    this.server = new FakeServer({ now: this.clock.now, random: this.random });
    this.server.behindPart = 0.3;
    this.server.replayEach = 1 + Math.floor(this.random() * 20);
    this.server.open(GROUP, USERS, "Team");
    this.clients = USERS.map((user) => this.client(user));
  }

  client(user) {
    const kept = new Map();
    const client = {
      user,
      links: [],
      storage: { get: (key) => kept.get(key), set: (key, value) => kept.set(key, structuredClone(value)) },
    };
    client.begin = () => {
      client.chat = new Chat({
        url: "ws://test/",
        session: { current: { user: { id: user }, device: "1" }, accessToken: async () => "token" },
        open: (url) => {
          const socket = new FakeSocket(url);
          client.links.push({ socket });
          return socket;
        },
        clock: this.clock,
        random: this.random,
        newId: () => `${user} ${(this.count += 1)}`,
        storage: client.storage,
        onChange: () => {},
      });
      client.chat.start();
    };
    client.begin();
    return client;
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  connect(client) {
    const waiting = client.links.at(-1);
    if (waiting && waiting.socket.readyState === 0) {
      client.links = [new Link(this.server, client.user, "1", waiting.socket)];
    }
  }

  write(client) {
    const id = client.user !== "cat" && this.random() < 0.4 ? DIRECT : GROUP;
    const items = client.chat.state.conversations.get(id)?.log.items.filter(({ kind }) => kind === "text") ?? [];
    const about = items.length && this.random() < 0.4 ? this.pick(items) : undefined;
    const kinds = about?.sender === client.user ? ["edit", "delete", "reaction"] : ["reaction"];
    const kind = about ? this.pick(kinds) : "text";
    const body = { text: `${this.count}` };
    if (kind === "reaction") Object.assign(body, { emoji: this.pick(["👍", "🎉"]), on: this.random() < 0.6 });
    const client_id = client.chat.send(id, { kind, body: kind === "delete" ? {} : body, ref: about?.seq });
    const key = `${client.user} ${id}`;
    this.written.set(key, [...(this.written.get(key) ?? []), client_id]);
  }

  /** The connection breaks, and the server may forget the marks of its last second. */
  cut(client) {
    client.links.at(-1)?.cut?.();
    const delivered = this.server.delivered.get(`${client.user} 1`) ?? new Map();
    for (const [id, seq] of delivered) delivered.set(id, Math.max(0, seq - Math.floor(this.random() * 4)));
  }

  /** The page is closed and opened again: memory is gone, the outbox is kept. */
  reload(client) {
    client.chat.stop();
    for (const link of client.links) link.cut?.();
    client.links = [];
    client.begin();
  }

  async step() {
    const client = this.pick(this.clients);
    const link = client.links.at(-1);
    const dice = this.random();
    if (dice < 0.3) link?.up?.();
    else if (dice < 0.62) link?.down?.();
    else if (dice < 0.68) this.connect(client);
    else if (dice < 0.83) this.write(client);
    else if (dice < 0.84) this.cut(client);
    else if (dice < 0.87) link?.readDone?.();
    else if (dice < 0.88) this.reload(client);
    else if (dice < 0.9) client.chat.readAll(this.pick([DIRECT, GROUP]));
    else if (dice < 0.94) client.chat.loadOlder(this.pick([DIRECT, GROUP]));
    else if (dice < 0.95) this.server.append(DIRECT, "bob", { body: { text: "blocked" }, hiddenFrom: "ann" });
    else if (dice < 0.96 && link?.isOpen) this.server.tellBehind(link);
    else this.clock.advance(this.random() * 1.5);
    await settle();
  }

  /** Faults end; everything under way arrives; timers run. */
  async heal() {
    for (let round = 0; round < 400; round += 1) {
      for (const client of this.clients) {
        this.connect(client);
        const link = client.links.at(-1);
        for (let frames = 0; link?.up && !link.isIdle && frames < 2000; frames += 1) {
          link.up();
          link.down();
          link.readDone();
          if (link.behind.size && this.random() < 0.2) this.server.tellBehind(link);
        }
        client.chat.loadOlder(GROUP);
        client.chat.loadOlder(DIRECT);
      }
      await settle();
      this.clock.advance(0.5);
      await settle();
      if (round > 80 && this.clients.every(({ chat, links }) => chat.status.state === "online" && links.at(-1).isIdle))
        return;
    }
    assert.fail(`not quiet: ${this.clients.map(({ chat }) => chat.status.state)}`);
  }

  check() {
    for (const { user, chat } of this.clients) {
      assert.equal(chat.outbox.size, 0, `${user}'s outbox`);
      for (const [id, { log, members }] of this.server.conversations) {
        if (!members.has(user)) continue;
        const conversation = chat.state.conversations.get(id);
        if (log.length === 0) continue;
        assert.equal(conversation.log.cursor, log.length, `${user}'s cursor of ${id}`);
        assert.deepEqual(conversation.log.items.map(plain), shownTo(user, log), `${user} sees ${id}`);
        const unread = log.filter(
          ({ seq, sender, kind, hiddenFrom }) =>
            seq > conversation.read && sender !== user && kind === "text" && hiddenFrom !== user,
        );
        // The fake server counts hidden texts too (it is naive); the direct conversation is not compared there.
        if (!log.some(({ hiddenFrom }) => hiddenFrom === user))
          assert.equal(conversation.unread, unread.length, `${user}'s unread`);
        const device = this.server.delivered.get(`${user} 1`)?.get(id) ?? 0;
        assert.equal(device, log.length, `${user}'s mark in ${id}`);
      }
    }
    for (const [key, ids] of this.written) {
      const [user, id] = key.split(" ");
      const stored = this.server.conversations
        .get(id)
        .log.filter(({ sender, client_id }) => sender === user && client_id);
      assert.deepEqual(
        stored.map(({ client_id }) => client_id),
        ids,
        `what ${user} wrote into ${id}`,
      );
    }
  }
}

const plain = ({ seq, body, deleted, reactions }) => ({ seq, body, deleted, reactions: Object.fromEntries(reactions) });

/** What a reader of the whole log shows. */
function shownTo(user, log) {
  return log
    .filter(({ kind, hiddenFrom }) => kind === "text" && hiddenFrom !== user)
    .map((entry) => asOfNow(entry, log, user))
    .map(({ seq, body, edited, deleted = false, reactions = {} }) => ({
      seq,
      body: edited?.body ?? body,
      deleted,
      reactions,
    }));
}

test("whatever is delayed, cut or lost: every entry once, in order, and nothing written is lost", async () => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const world = new World(seed);
    try {
      for (let step = 0; step < STEPS; step += 1) await world.step();
      await world.heal();
      world.check();
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
});
