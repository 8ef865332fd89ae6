/** @file The SDK: what an application imports. Nothing in this folder knows a document. */
export { Chat, OUTBOX_MAX } from "./chat.js";
export { directConversation, groupOf, peerOf, uuid7Source } from "./ids.js";
export { NetworkError, Problem, Rest } from "./rest.js";
export { Session, SessionOver } from "./session.js";
export { ChatState } from "./state.js";
