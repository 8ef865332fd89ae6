import assert from "node:assert/strict";
import { test } from "node:test";
import { NetworkError, Problem, Rest } from "../rest.js";
import { Session, SessionOver } from "../session.js";
import { FakeClock } from "./fakes/clock.js";

const answer = (status, body, headers = {}) => new Response(body && JSON.stringify(body), { status, headers });

class Bed {
  clock = new FakeClock();
  kept = new Map();
  requests = [];
  answers = [];

  constructor() {
    const storage = {
      get: (key) => this.kept.get(key),
      set: (key, value) => this.kept.set(key, value),
      remove: (key) => this.kept.delete(key),
    };
    const fetch = async (url, { method, body, headers }) => {
      this.requests.push({ url, method, body: body && JSON.parse(body), token: headers.Authorization });
      const next = this.answers.shift();
      if (next instanceof Error) throw next;
      return next;
    };
    this.rest = new Rest("", fetch);
    this.session = new Session({ rest: this.rest, storage, clock: this.clock });
  }

  tokens(number, status = 200) {
    return answer(status, {
      user: { id: "u", name: "Ann" },
      device: "d",
      access_token: `a${number}`,
      refresh_token: `r${number}`,
      expires_in_s: 900,
    });
  }

  async loggedIn() {
    this.answers.push(this.tokens(1));
    await this.session.login({ email: "ann@example.org", password: "secret" });
    this.requests.length = 0;
    return this;
  }
}

test("after logging in the token is used until it is nearly over, then refreshed once", async () => {
  const bed = await new Bed().loggedIn();
  assert.equal(await bed.session.accessToken(), "a1");
  bed.clock.advance(880);
  bed.answers.push(bed.tokens(2));
  const both = await Promise.all([bed.session.accessToken(), bed.session.accessToken()]);
  assert.deepEqual(both, ["a2", "a2"]);
  assert.deepEqual(
    bed.requests.map(({ body }) => body),
    [{ refresh_token: "r1" }],
  );
  assert.equal(bed.kept.get("trimaran.session").refresh_token, "r2");
});

test("what another tab refreshed is used, not the token that it used up", async () => {
  const bed = await new Bed().loggedIn();
  bed.kept.get("trimaran.session").refresh_token = "r7";
  bed.answers.push(bed.tokens(8));
  await bed.session.accessToken(true);
  assert.equal(bed.requests[0].body.refresh_token, "r7");
});

test("a refused refresh ends the session, an unanswered one does not", async () => {
  const bed = await new Bed().loggedIn();
  bed.answers.push(new TypeError("network"), answer(401, { code: "unauthenticated" }));
  await assert.rejects(bed.session.accessToken(true), NetworkError);
  assert.ok(bed.session.current);
  await assert.rejects(bed.session.accessToken(true), SessionOver);
  assert.equal(bed.session.current, undefined);
});

test("logging in again as the same person names the device, as another does not", async () => {
  const bed = await new Bed().loggedIn();
  bed.answers.push(bed.tokens(2), bed.tokens(3));
  await bed.session.login({ email: "ann@example.org", password: "secret" });
  await bed.session.login({ email: "bob@example.org", password: "secret" });
  assert.deepEqual(
    bed.requests.map(({ body }) => body.device),
    ["d", undefined],
  );
});

test("a device that was removed is no obstacle to logging in", async () => {
  const bed = await new Bed().loggedIn();
  bed.answers.push(answer(404, { code: "not_found" }), bed.tokens(2));
  await bed.session.login({ email: "ann@example.org", password: "secret" });
  assert.deepEqual(
    bed.requests.map(({ body }) => body.device),
    ["d", undefined],
  );
});

test("logging out tells the server and forgets in any case", async () => {
  const bed = await new Bed().loggedIn();
  bed.answers.push(new TypeError("network"));
  await bed.session.logout();
  assert.deepEqual([bed.requests[0].url, bed.requests[0].token], ["/user-service/auth/logout", "Bearer a1"]);
  assert.equal(bed.session.current, undefined);
});

test("a request refused for its token is repeated once with a fresh one", async () => {
  const bed = await new Bed().loggedIn();
  bed.answers.push(answer(401, { code: "unauthenticated" }), bed.tokens(2), answer(200, { id: "u" }));
  assert.deepEqual(await bed.session.request("GET", "/user-service/users/me"), { id: "u" });
  assert.deepEqual(
    bed.requests.map(({ token }) => token),
    ["Bearer a1", undefined, "Bearer a2"],
  );
});

test("problem details become one kind of error, also without a body", async () => {
  const bed = new Bed();
  bed.answers.push(
    answer(422, { code: "bad_request", detail: "too short", field: "password" }),
    answer(503, undefined, { "Retry-After": "7" }),
  );
  await assert.rejects(bed.rest.request("GET", "/x"), (error) => {
    assert.ok(error instanceof Problem);
    assert.deepEqual(
      [error.status, error.code, error.field, error.message],
      [422, "bad_request", "password", "too short"],
    );
    return true;
  });
  await assert.rejects(bed.rest.request("GET", "/x"), (error) => error.status === 503 && error.retry_after_s === 7);
});

test("queries are encoded, and what is undefined is left out", async () => {
  const bed = new Bed();
  bed.answers.push(answer(200, {}));
  await bed.rest.request("GET", "/users", { query: { search: "a&b c", cursor: undefined } });
  assert.equal(bed.requests[0].url, "/users?search=a%26b+c");
});
