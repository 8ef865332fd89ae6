import assert from "node:assert/strict";
import { test } from "node:test";
import { directConversation, groupOf, peerOf, uuid7Source } from "../ids.js";

const zeros = (count) => new Uint8Array(count);

test("client ids are UUIDv7s of the time", () => {
  const id = uuid7Source(
    () => 0x0123456789ab,
    (count) => new Uint8Array(count).fill(0xff),
  )();
  assert.match(id, /^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("client ids rise within a millisecond and when the clock steps back", () => {
  let now = 1000;
  const newId = uuid7Source(() => now, zeros);
  const ids = Array.from({ length: 10_000 }, () => newId());
  now = 500;
  ids.push(newId());
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(ids).size, ids.length);
});

test("a direct conversation has one name from both sides", () => {
  assert.equal(directConversation("b", "a"), "d:a:b");
  assert.equal(peerOf("d:a:b", "b"), "a");
  assert.equal(peerOf("d:a:a", "a"), "a");
  assert.equal(peerOf("g:1", "a"), undefined);
  assert.equal(groupOf("g:1"), "1");
  assert.equal(groupOf("d:a:b"), undefined);
});
