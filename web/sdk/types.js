/**
 * @file The shapes of the protocol, for editors and readers; no code. Names and units are those of the wire.
 *
 * @typedef {object} Entry One entry of a conversation's log, as a `message` frame or a page carries it.
 * @property {string} conversation
 * @property {number} seq 1, 2, 3, ... without a hole.
 * @property {string} sender User id.
 * @property {string} [device]
 * @property {string} [client_id]
 * @property {"text"|"edit"|"delete"|"reaction"|"member"|"group"|"hidden"} kind
 * @property {object} body
 * @property {number} [ref] The seq that an edit, deletion, reaction or reply is about.
 * @property {number} time_ms
 * @property {{seq: number, body: object, time_ms: number}} [edited] In pages only.
 * @property {boolean} [deleted] In pages only.
 * @property {Object<string, {count: number, mine: boolean}>} [reactions] In pages only.
 *
 * @typedef {object} Page The answer to a `pull`: texts are as of `head`.
 * @property {string} conversation
 * @property {Entry[]} messages
 * @property {number} first
 * @property {number} head
 * @property {boolean} more
 * @property {[number, number][]} [skip] Ranges this reader may not see; they count as applied.
 *
 * @typedef {object} Row One conversation as the `conversations` frame states it.
 * @property {string} conversation
 * @property {number} first
 * @property {number} head
 * @property {number} delivered This device's cursor.
 * @property {number} read
 * @property {number} unread
 * @property {Entry} [last]
 * @property {string} [title]
 * @property {"owner"|"admin"|"member"|"reader"|"none"} [role]
 * @property {number} [members]
 * @property {boolean} [muted]
 * @property {{user: string, name: string, delivered: number, read: number}} [peer]
 *
 * @typedef {object} Item What a conversation shows: a text as it stands now, or a line about members or the group.
 * @property {number} seq
 * @property {"text"|"member"|"group"} kind
 * @property {string} sender
 * @property {string} [client_id]
 * @property {object} body
 * @property {number} [ref]
 * @property {number} time_ms
 * @property {number} [edited_ms]
 * @property {boolean} deleted
 * @property {Map<string, {count: number, mine: boolean}>} reactions
 * @property {number} asOf Effects up to this seq are already contained.
 *
 * @typedef {object} Waiting A send in the outbox.
 * @property {string} client_id
 * @property {string} conversation
 * @property {"text"|"edit"|"delete"|"reaction"} kind
 * @property {object} body
 * @property {number} [ref]
 * @property {number} created_ms
 * @property {boolean} tried Transmitted before, perhaps by an earlier life of the page: the next one says `retry`.
 * @property {number} refusals Temporary refusals in a row.
 * @property {{code: string, message: string}} [failed] Refused for good; the user decides.
 *
 * @typedef {object} Clock
 * @property {() => number} now Milliseconds since 1970.
 * @property {(call: () => void, delay_s: number) => unknown} after Returns a handle for `cancel`.
 * @property {(handle: unknown) => void} cancel
 *
 * @typedef {object} Storage
 * @property {(key: string) => unknown} get The value, or undefined.
 * @property {(key: string, value: unknown) => void} set
 * @property {(key: string) => void} remove
 */
export {};
