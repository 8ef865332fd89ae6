import assert from "node:assert/strict";
import { test } from "node:test";
import { ConversationLog } from "../log.js";

const text = (seq, more = {}) => ({
  seq,
  kind: "text",
  sender: "other",
  body: { text: `${seq}` },
  time_ms: seq,
  ...more,
});
const effect = (seq, kind, ref, body = {}, sender = "other") => ({ seq, kind, ref, body, sender, time_ms: seq });
const page = (messages, more = {}) => ({
  messages,
  first: 1,
  head: Math.max(0, ...messages.map(({ seq }) => seq)),
  more: false,
  ...more,
});
const shown = (log) => log.items.map(({ seq }) => seq);

test("the next seq is applied, an earlier one dropped, a later one is a gap", () => {
  const log = new ConversationLog("me", 3, 1);
  assert.equal(log.offer(text(4)), "applied");
  assert.equal(log.offer(text(4)), "dropped");
  assert.equal(log.offer(text(6)), "gap");
  assert.deepEqual(shown(log), [4]);
  assert.equal(log.head, 6);
  assert.ok(log.isBehind);
});

test("a page fills the gap, and what arrived meanwhile is not applied twice", () => {
  const log = new ConversationLog("me", 0, 1);
  log.offer(text(3));
  log.offer(text(1));
  const applied = log.applyPage(page([text(1), text(2), text(3)]));
  assert.deepEqual(
    applied.map(({ seq }) => seq),
    [2, 3],
  );
  assert.deepEqual(shown(log), [1, 2, 3]);
});

test("hidden entries and skipped ranges count as applied and show nothing", () => {
  const log = new ConversationLog("me", 0, 1);
  log.offer({ seq: 1, kind: "hidden" });
  log.applyPage(page([text(5)], { skip: [[2, 4]], head: 5 }));
  assert.equal(log.cursor, 5);
  assert.deepEqual(shown(log), [5]);
});

test("an entry of an unknown kind is applied and not shown", () => {
  const log = new ConversationLog("me", 0, 1);
  assert.equal(log.offer({ seq: 1, kind: "poll", sender: "other", body: {} }), "applied");
  assert.deepEqual(shown(log), []);
});

test("an edit, a reaction and a deletion change the text they are about", () => {
  const log = new ConversationLog("me", 0, 1);
  log.offer(text(1));
  log.offer(effect(2, "edit", 1, { text: "better" }));
  log.offer(effect(3, "reaction", 1, { emoji: "👍", on: true }, "me"));
  assert.equal(log.item(1).body.text, "better");
  assert.equal(log.item(1).edited_ms, 2);
  assert.deepEqual(log.item(1).reactions.get("👍"), { count: 1, mine: true });
  log.offer(effect(4, "delete", 1));
  assert.ok(log.item(1).deleted);
  assert.deepEqual(log.item(1).body, {});
});

test("a person who reacts twice counts once", () => {
  const log = new ConversationLog("me", 0, 1);
  log.offer(text(1));
  log.offer(effect(2, "reaction", 1, { emoji: "👍", on: true }));
  log.offer(effect(3, "reaction", 1, { emoji: "👍", on: true }));
  assert.equal(log.item(1).reactions.get("👍").count, 1);
  log.offer(effect(4, "reaction", 1, { emoji: "👍", on: false }));
  assert.equal(log.item(1).reactions.size, 0);
});

test("a page's text contains what happened up to its head, so those effects change nothing", () => {
  const log = new ConversationLog("me", 0, 1);
  const reactions = { "👍": { count: 1, mine: false } };
  const edited = { seq: 2, body: { text: "better" }, time_ms: 2 };
  log.applyPage(page([text(1, { edited, reactions })], { head: 3, more: true }));
  log.offer(effect(2, "edit", 1, { text: "better" }));
  log.offer(effect(3, "reaction", 1, { emoji: "👍", on: true }));
  assert.equal(log.item(1).reactions.get("👍").count, 1);
  log.offer(effect(4, "edit", 1, { text: "best" }));
  assert.equal(log.item(1).body.text, "best");
});

test("older texts are changed by effects above their page's head that were applied before they came", () => {
  const log = new ConversationLog("me", 5, 1);
  log.offer(effect(6, "edit", 4, { text: "better" }));
  log.offer(effect(7, "reaction", 5, { emoji: "👍", on: true }, "me"));
  const grew = log.prependPage(page([text(4), text(5)], { head: 5, more: true }), 6);
  assert.ok(grew);
  assert.equal(log.item(4).body.text, "better");
  assert.deepEqual(log.item(5).reactions.get("👍"), { count: 1, mine: true });
  assert.deepEqual(shown(log), [4, 5]);
  assert.ok(log.hasOlder);
});

test("an older page that no longer fits the window is dropped", () => {
  const log = new ConversationLog("me", 5, 1);
  log.prependPage(page([text(3), text(4), text(5)], { more: true }), 6);
  assert.equal(log.prependPage(page([text(4), text(5)], { more: true }), 6), false);
  assert.deepEqual(shown(log), [3, 4, 5]);
});

test("a new membership that begins later hides what was before", () => {
  const log = new ConversationLog("me", 0, 1);
  log.offer(text(1));
  log.setFirst(10);
  assert.deepEqual(shown(log), []);
  assert.equal(log.cursor, 9);
  assert.equal(log.offer(text(10)), "applied");
  assert.equal(log.hasOlder, false);
});

test("trimming keeps the newest, and the rest can be paged in again", () => {
  const log = new ConversationLog("me", 0, 1);
  for (let seq = 1; seq <= 10; seq += 1) log.offer(text(seq));
  log.trim(4);
  assert.deepEqual(shown(log), [7, 8, 9, 10]);
  assert.ok(log.hasOlder);
  log.prependPage(
    page(
      [5, 6].map((seq) => text(seq)),
      { more: true, head: 10 },
    ),
    7,
  );
  assert.deepEqual(shown(log), [5, 6, 7, 8, 9, 10]);
});
