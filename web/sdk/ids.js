/** @file Ids that the client makes: UUIDv7 (RFC 9562) for sends, and the names of direct conversations. */

/**
 * A source of UUIDv7s that rise also within one millisecond and when the clock steps back, which keeps the
 * server's index of client ids append-only.
 *
 * @param {() => number} now Milliseconds since 1970.
 * @param {(count: number) => Uint8Array} randomBytes
 * @returns {() => string}
 */
export function uuid7Source(now, randomBytes) {
  let lastMs = -1;
  let counter = 0;
  return () => {
    const bytes = randomBytes(16);
    const ms = now();
    if (ms > lastMs) {
      lastMs = ms;
      counter = ((bytes[6] & 0x07) << 8) | bytes[7]; // 11 random bits: room to count up within the millisecond
    } else if (++counter > 0xfff) {
      lastMs += 1;
      counter = 0;
    }
    for (let i = 0, rest = lastMs; i < 6; i += 1, rest = Math.floor(rest / 256)) bytes[5 - i] = rest % 256;
    bytes[6] = 0x70 | (counter >> 8);
    bytes[7] = counter & 0xff;
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  };
}

/** The direct conversation of two users; with oneself: notes. */
export function directConversation(one, other) {
  return `d:${[one, other].sort().join(":")}`;
}

/** The other user of a direct conversation (oneself for notes), or undefined for a group's. */
export function peerOf(conversation, me) {
  const [kind, one, other] = conversation.split(":");
  if (kind !== "d") return undefined;
  return one === me ? other : one;
}

/** The group of a group's conversation, or undefined for a direct one. */
export function groupOf(conversation) {
  return conversation.startsWith("g:") ? conversation.slice(2) : undefined;
}
