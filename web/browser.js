/** @file What the SDK is given in a browser: clock, random bytes, storage, other tabs' lock, the socket's address. */

/** @type {import("./sdk/types.js").Clock} */
export const clock = {
  now: () => Date.now(),
  // Beyond 2^31 ms a browser's timer fires at once.
  after: (call, delay_s) => setTimeout(call, Math.min(delay_s * 1000, 0x7fffffff)),
  cancel: (handle) => clearTimeout(handle),
};

export const randomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

/** JSON in localStorage. Where it is full or forbidden the page works on, but a reload forgets. */
export const storage = {
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? undefined;
    } catch {
      return undefined;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch (error) {
      console.warn(`not stored: ${error.name}`);
    }
  },
  remove(key) {
    try {
      localStorage.removeItem(key);
    } catch {
      // what cannot be reached was not stored either
    }
  },
};

/** Excludes other tabs of this browser; on insecure origins, where there are no locks, it does not. */
export function lock(name, call) {
  return navigator.locks ? navigator.locks.request(name, call) : call();
}

export function socketUrl() {
  return `${location.origin.replace(/^http/, "ws")}/chat/ws`;
}

/** What this device is called in the list of devices: "Firefox on Linux". */
export function deviceName() {
  const agent = navigator.userAgent;
  const find = (names) => names.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = find([
    [/Edg\//, "Edge"],
    [/Firefox\//, "Firefox"],
    [/Chrom(e|ium)\//, "Chrome"],
    [/Safari\//, "Safari"],
  ]);
  const system = find([
    [/Android/, "Android"],
    [/iPhone|iPad/, "iOS"],
    [/Windows/, "Windows"],
    [/Mac OS/, "macOS"],
    [/Linux/, "Linux"],
  ]);
  return [browser ?? "Browser", system].filter(Boolean).join(" on ");
}
