import assert from "node:assert/strict";
import { test } from "node:test";
import { ACK_S, Outbox } from "../outbox.js";

const send = (client_id, conversation = "c") => ({ client_id, conversation, kind: "text", body: {}, created_ms: 0 });
const ids = (taken) => taken.map(({ item }) => item.client_id);
const filled = (...names) => {
  const outbox = new Outbox([], () => 1);
  for (const name of names) outbox.add(send(name));
  return outbox;
};

test("one send per conversation is in flight, and the next follows its ack", () => {
  const outbox = filled("1", "2");
  outbox.add(send("3", "other"));
  assert.deepEqual(ids(outbox.take(0)), ["1", "3"]);
  assert.deepEqual(ids(outbox.take(1)), []);
  outbox.confirmed("1");
  assert.deepEqual(ids(outbox.take(2)), ["2"]);
});

test("the first transmission is no retry, every later one is", () => {
  const outbox = filled("1");
  assert.equal(outbox.take(0)[0].retry, false);
  outbox.disconnected();
  assert.equal(outbox.take(1)[0].retry, true);
});

test("after a reload everything is a retry, since nobody knows what was transmitted", () => {
  const outbox = new Outbox(JSON.parse(JSON.stringify(filled("1", "2").save())));
  assert.deepEqual(ids(outbox.take(0)), ["1"]);
  outbox.confirmed("1");
  assert.equal(outbox.take(0)[0].retry, true);
});

test("a temporary refusal holds the conversation back and is not overtaken", () => {
  const outbox = filled("1", "2");
  outbox.take(0);
  outbox.refused("1", { code: "unavailable", message: "", retry_after_s: 3 }, 0);
  assert.deepEqual(ids(outbox.take(2999)), []);
  assert.equal(outbox.nextTake_s(1000), 2);
  assert.deepEqual(ids(outbox.take(3000)), ["1"]);
});

test("a refusal for good is the user's to decide and blocks nobody", () => {
  const outbox = filled("1", "2");
  outbox.take(0);
  outbox.refused("1", { code: "forbidden", message: "no" }, 0);
  assert.equal(outbox.find("1").failed.code, "forbidden");
  assert.deepEqual(ids(outbox.take(0)), ["2"]);
  outbox.retry("1");
  outbox.confirmed("2");
  assert.deepEqual(ids(outbox.take(0)), ["1"]);
});

test("an internal error is retried a few times, then given to the user", () => {
  const outbox = filled("1");
  let now = 0;
  for (let tries = 0; tries < 5; tries += 1) {
    now += 60_000;
    outbox.take(now);
    outbox.refused("1", { code: "internal", message: "" }, now);
  }
  assert.equal(outbox.find("1").failed.code, "internal");
});

test("a send without an answer is repeated", () => {
  const outbox = filled("1");
  outbox.take(0);
  assert.equal(outbox.nextTake_s(0), ACK_S);
  assert.deepEqual(ids(outbox.take(ACK_S * 1000)), ["1"]);
});
