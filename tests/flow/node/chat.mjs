// Two people chat; one loses its network and comes back. Usage: node chat.mjs URL

import assert from "node:assert/strict";

import { Peer, register } from "./client.mjs";

const url = process.argv[2];
const [ann, bob] = [await register(url, "ann"), await register(url, "bob")];
const conversation = ["d", ...[ann.id, bob.id].sort()].join(":");

const atAnn = await Peer.open(url);
assert.equal(atAnn.socket.protocol, "trimaran.v1");
// `ws` offers permessage-deflate; the server does not take it.
assert.equal(atAnn.socket.extensions, "");
const { welcome } = await atAnn.hello(ann.token);
assert.equal(welcome.user, ann.id);

let atBob = await Peer.open(url);
await atBob.hello(bob.token);

const ack = await atAnn.send(conversation, "hi é 👍");
assert.deepEqual([ack.type, ack.seq, ack.duplicate], ["ack", 1, false]);
const message = await atBob.next("message");
assert.deepEqual([message.seq, message.sender, message.body], [1, ann.id, { text: "hi é 👍" }]);

atBob.say("mark", { conversation, read: 1 });
const shown = await atAnn.wait(
  (frame) => frame.type === "marks" && frame.marks.some((mark) => mark.user === bob.id && mark.read === 1),
  "the tick",
);
assert.equal(shown.conversation, conversation);

atBob.say("typing", { conversation, on: true });
assert.equal((await atAnn.next("typing")).user, bob.id);

// The network is gone: no Close frame, no goodbye.
atBob.socket.terminate();
await atBob.closed;
for (const text of ["2", "3", "4"]) await atAnn.send(conversation, text);
await atAnn.send(conversation, "two", { kind: "edit", ref: 2 });

atBob = await Peer.open(url);
const { messages, conversations, synced } = await atBob.hello(bob.token);
assert.deepEqual(messages.map((each) => each.seq), [2, 3, 4, 5]);
assert.deepEqual([conversations[0].read, conversations[0].unread], [1, 3]);
assert.deepEqual(synced.pending, []);
const page = await atBob.ask("pull", { conversation, after: 0 });
assert.deepEqual(page.messages.map((each) => each.seq), [1, 2, 3, 4, 5]);
assert.equal(page.messages[1].edited.body.text, "two");

atBob.say("bye");
assert.equal(await atBob.closed, 1000);
assert.equal(await atAnn.close(), 1000);
console.log("done");
