/** @file How long to wait before trying again: full jitter, doubling. */

export const BACKOFF_FIRST_S = 0.5;
export const BACKOFF_MAX_S = 30;

/** Full jitter between 0 and a ceiling of 0.5 s that doubles with each attempt, 30 s at most. */
export class Backoff {
  #random;
  #attempts = 0;

  /** @param {() => number} random Uniform in [0, 1). */
  constructor(random) {
    this.#random = random;
  }

  /** The seconds to wait before the next attempt. */
  next() {
    const ceiling = Math.min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** this.#attempts);
    this.#attempts = Math.min(this.#attempts + 1, 16);
    return this.#random() * ceiling;
  }

  /** To be called after a success. */
  reset() {
    this.#attempts = 0;
  }
}
