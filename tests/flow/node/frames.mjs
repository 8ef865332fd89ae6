// What RFC 6455 allows, and what the protocol forbids. Usage: node frames.mjs URL

import assert from "node:assert/strict";

import WebSocket from "ws";

import { Peer, register } from "./client.mjs";

const url = process.argv[2];
const ann = await register(url, "ann");
const notes = `d:${ann.id}:${ann.id}`;

const peer = await Peer.open(url);
await peer.hello(ann.token);

// A frame in three fragments, with a ping between them.
const text = JSON.stringify({ type: "send", id: "x", client_id: "00000000-0000-4000-8000-000000000001", conversation: notes, body: { text: "é" } });
const bytes = Buffer.from(text);
const pong = new Promise((resolve) => peer.socket.once("pong", (data) => resolve(data.toString())));
peer.socket.send(bytes.subarray(0, 7), { binary: false, fin: false });
peer.socket.send(bytes.subarray(7, bytes.length - 5), { binary: false, fin: false });
peer.socket.ping("still there?");
peer.socket.send(bytes.subarray(bytes.length - 5), { binary: false, fin: true });
assert.equal((await peer.wait((frame) => frame.id === "x", "the ack")).seq, 1);
assert.equal(await pong, "still there?");

// A bad frame is answered, and the connection lives.
peer.socket.send("{not json");
assert.equal((await peer.next("error")).code, "bad_request");
assert.equal((await peer.ask("no such type")).code, "bad_request");
const missing = await peer.send(`d:01900000-0000-7000-8000-000000000000:${ann.id}`, "nobody");
assert.equal(missing.code, "not_found");
assert.equal((await peer.ask("ping")).type, "pong");

// A binary one is what the server cannot accept (RFC 6455, section 7.4.1).
peer.socket.send(Buffer.from([1, 2, 3]));
assert.equal(await peer.closed, 1003);

// Whoever does not say hello first, or not who it is, is told so by the code.
const silent = await Peer.open(url);
silent.say("ping", { id: 1 });
assert.equal(await silent.closed, 4501);
const stranger = await Peer.open(url);
stranger.say("hello", { token: "a.b.c" });
assert.equal(await stranger.closed, 4500);

// The token may come with the handshake; a wrong one is refused there, and so is another site's page.
const bearer = await Peer.open(url, { headers: { Authorization: `Bearer ${ann.token}` } });
assert.equal((await bearer.hello()).welcome.user, ann.id);
await bearer.close();
assert.equal(await refusal({ headers: { Authorization: "Bearer a.b.c" } }), 401);
assert.equal(await refusal({ origin: "https://evil.example" }), 403);
console.log("done");

function refusal(options) {
  const socket = new WebSocket(`${url.replace("http", "ws")}/chat/ws`, ["trimaran.v1"], options);
  return new Promise((resolve) => {
    socket.once("unexpected-response", (request, response) => {
      resolve(response.statusCode);
      request.destroy();
    });
    socket.once("error", () => {});
  });
}
