/** @file A clock that stands still until a test moves it. */

/** @implements {import("../../types.js").Clock} */
export class FakeClock {
  #now_ms;
  #timers = new Set();

  constructor(now_ms = 1_700_000_000_000) {
    this.#now_ms = now_ms;
  }

  now = () => this.#now_ms;

  after = (call, delay_s) => {
    const timer = { at_ms: this.#now_ms + delay_s * 1000, call };
    this.#timers.add(timer);
    return timer;
  };

  cancel = (timer) => this.#timers.delete(timer);

  /** Seconds until the next timer, or undefined. */
  get next_s() {
    const due = [...this.#timers].map(({ at_ms }) => at_ms);
    return due.length ? (Math.min(...due) - this.#now_ms) / 1000 : undefined;
  }

  /** Moves on, calling what becomes due in its order. */
  advance(seconds) {
    const end_ms = this.#now_ms + seconds * 1000;
    for (;;) {
      const due = [...this.#timers]
        .filter(({ at_ms }) => at_ms <= end_ms)
        .sort((one, other) => one.at_ms - other.at_ms)[0];
      if (!due) break;
      this.#timers.delete(due);
      this.#now_ms = Math.max(this.#now_ms, due.at_ms);
      due.call();
    }
    this.#now_ms = end_ms;
  }
}

/** Lets everything go on that waits for a promise only. */
export async function settle() {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

/** A small seeded generator (mulberry32): uniform in [0, 1). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
