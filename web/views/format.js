/** @file Times and entries in words. */

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long" });
const dateOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export const timeOfDay = (ms) => time.format(ms);
export const exactTime = (ms) => moment.format(ms);

/** A number that is the same for all of a day, here. */
export function dayOf(ms) {
  const day = new Date(ms);
  return day.getFullYear() * 10000 + day.getMonth() * 100 + day.getDate();
}

const daysAgo = (ms, now_ms) =>
  Math.round((new Date(now_ms).setHours(12, 0, 0, 0) - new Date(ms).setHours(12, 0, 0, 0)) / 86_400_000);

/** "Today", "Yesterday", "Monday", "3 May", "3 May 2021". */
export function dayName(ms, now_ms = Date.now()) {
  const days = daysAgo(ms, now_ms);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days > 1 && days < 7) return weekday.format(ms);
  return new Date(ms).getFullYear() === new Date(now_ms).getFullYear() ? date.format(ms) : dateOfYear.format(ms);
}

/** For a list: the time today, else the day. */
export function shortTime(ms, now_ms = Date.now()) {
  const days = daysAgo(ms, now_ms);
  if (days === 0) return timeOfDay(ms);
  return days < 7 && days > 0 ? dayName(ms, now_ms) : shortDate.format(ms);
}

/** "online", "last seen today at 12:30", or nothing where it is not told. */
export function presenceLine(presence, now_ms = Date.now()) {
  if (presence?.state === "online") return "online";
  if (presence?.state !== "offline" || presence.last_seen_ms === undefined) return "";
  const ago_s = (now_ms - presence.last_seen_ms) / 1000;
  if (ago_s < 60) return "last seen just now";
  return `last seen ${dayName(presence.last_seen_ms, now_ms).replace(/^(Today|Yesterday)$/, (day) => day.toLowerCase())} at ${timeOfDay(presence.last_seen_ms)}`;
}

/** "Ann is typing…" */
export function typingLine(names) {
  if (names.length === 0) return "";
  if (names.length > 2) return "Several people are typing…";
  return `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing…`;
}

/** The text of a body, whatever a stranger's client put there. */
export function bodyText(body) {
  if (typeof body?.text === "string") return body.text;
  if (body?.ciphertext !== undefined) return "Encrypted message";
  return Array.isArray(body?.media) && body.media.length ? "Attachment" : "";
}

/** A line about members or the group itself. @param {(id: string) => string} name "You" included. */
export function systemLine({ kind, body }, name) {
  const by = name(body.by);
  const names = (ids = []) => joinNames(ids.map((id) => name(id).replace(/^You$/, "you")));
  if (kind === "group") return groupLine(body, by, name);
  if (body.deleted) return `${by} deleted the group`;
  const lines = [];
  const isFirst = Boolean(body.name);
  const added = (body.added ?? []).filter((user) => !isFirst || user !== body.by);
  if (isFirst) lines.push(`${by} created the group “${body.name}”${added.length ? ` with ${names(added)}` : ""}`);
  else if (added.length === 1 && added[0] === body.by) lines.push(`${by} joined`);
  else if (added.length) lines.push(`${by} added ${names(added)}`);
  const removed = body.removed ?? [];
  if (removed.length === 1 && removed[0] === body.by) lines.push(`${by} left`);
  else if (removed.length) lines.push(`${by} removed ${names(removed)}`);
  return lines.join("; ") || "The members changed";
}

function groupLine(body, by, name) {
  const lines = [];
  if (body.name) lines.push(`${by} named the group “${body.name}”`);
  if (body.history)
    lines.push(`${by} made earlier messages ${body.history === "shared" ? "visible to" : "hidden from"} new members`);
  for (const [user, role] of Object.entries(body.roles ?? {})) lines.push(`${by} made ${name(user)} ${roleName(role)}`);
  return lines.join("; ") || "The group changed";
}

export function roleName(role) {
  return { owner: "an owner", admin: "an admin", member: "a member", reader: "a reader" }[role] ?? role;
}

/** What a list says about an entry or an item. */
export function previewText(entry, me, name) {
  if (!entry) return "";
  const who = entry.sender === me ? "You" : name(entry.sender);
  switch (entry.kind) {
    case "text":
      if (entry.deleted) return "Message deleted";
      return bodyText(entry.edited?.body ?? entry.body);
    case "edit":
      return bodyText(entry.body);
    case "delete":
      return "Message deleted";
    case "reaction":
      return `${who} reacted ${entry.body?.emoji ?? ""}`;
    case "member":
    case "group":
      return systemLine({ kind: entry.kind, body: entry.body ?? {} }, name);
    default:
      return "";
  }
}

function joinNames(names) {
  return names.length < 3 ? names.join(" and ") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
