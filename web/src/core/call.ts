/** One call as its caller sees it: a pure state machine, events in, a view out. */

import { type Caption, type Unsent, withCaption, withUnsent } from "./captions.ts";

/** What the bot is doing. */
export type Activity = "listening" | "thinking" | "speaking";

/** What a caller is told about the call as a whole. */
export type Status = "idle" | "connecting" | Activity | "reconnecting" | "ended";

/** Why there is no call any more, or why none came about. */
export type EndReason =
  | "you"
  | "bot"
  | "silence"
  | "time"
  | "busy"
  | "closed"
  | "unavailable"
  | "offline"
  | "failed";

/** What became of the microphone; `off` where a call has none. */
export type Microphone = "off" | "asking" | "on" | "muted" | "refused" | "missing";

export interface Ending {
  readonly reason: EndReason;
  /** When asking again makes sense, if the server said so. */
  readonly retryAfterS: number | null;
}

export interface Call {
  readonly status: Status;
  /** What the bot did last, also while the connection is being mended. */
  readonly activity: Activity;
  readonly textOnly: boolean;
  readonly microphone: Microphone;
  /** The browser plays no sound until it is asked to by a click. */
  readonly soundBlocked: boolean;
  readonly captions: readonly Caption[];
  readonly ending: Ending | null;
  /** How the bot said that the call ends, before the line is gone. */
  readonly told: EndReason | null;
}

export type CallEvent =
  | { readonly type: "started"; readonly textOnly: boolean }
  | { readonly type: "microphone"; readonly state: Microphone }
  | { readonly type: "connected" }
  | { readonly type: "activity"; readonly activity: Activity }
  | { readonly type: "caption"; readonly caption: Caption }
  | { readonly type: "unsent"; readonly id: string; readonly why: Unsent }
  | { readonly type: "sound"; readonly blocked: boolean }
  | { readonly type: "reconnecting" }
  | { readonly type: "reconnected" }
  | { readonly type: "told"; readonly reason: EndReason }
  | { readonly type: "ended"; readonly reason: EndReason; readonly retryAfterS?: number | null };

export const NO_CALL: Call = {
  status: "idle",
  activity: "listening",
  textOnly: false,
  microphone: "off",
  soundBlocked: false,
  captions: [],
  ending: null,
  told: null,
};

/** Whether there is a call, or one is being made. */
export function isLive(call: Call): boolean {
  return call.status !== "idle" && call.status !== "ended";
}

/** Whether what the caller says or types is heard. */
export function isConnected(call: Call): boolean {
  return isLive(call) && call.status !== "connecting";
}

/** Return the call after an event; an event that means nothing any more changes nothing. */
export function after(call: Call, event: CallEvent): Call {
  if (event.type === "started") {
    return isLive(call) ? call : { ...NO_CALL, status: "connecting", textOnly: event.textOnly };
  }
  // The last words may arrive after the end.
  if (event.type === "caption") {
    return { ...call, captions: withCaption(call.captions, event.caption) };
  }
  if (event.type === "unsent") {
    return { ...call, captions: withUnsent(call.captions, event.id, event.why) };
  }
  if (!isLive(call)) return call;
  switch (event.type) {
    case "microphone":
      return { ...call, microphone: event.state };
    case "connected":
      return call.status === "connecting" ? { ...call, status: call.activity } : call;
    case "activity":
      return {
        ...call,
        activity: event.activity,
        status: isActive(call) ? event.activity : call.status,
      };
    case "sound":
      return { ...call, soundBlocked: event.blocked };
    case "reconnecting":
      return isActive(call) ? { ...call, status: "reconnecting" } : call;
    case "reconnected":
      return call.status === "reconnecting" ? { ...call, status: call.activity } : call;
    case "told":
      return { ...call, told: event.reason };
    case "ended":
      return ended(call, event.reason, event.retryAfterS ?? null);
  }
}

function isActive(call: Call): boolean {
  return call.status === call.activity;
}

function ended(call: Call, reason: EndReason, retryAfterS: number | null): Call {
  // A line that is gone says less than the bot did, and the caller's own click more.
  const why = reason === "you" ? reason : (call.told ?? reason);
  return {
    ...call,
    status: "ended",
    microphone: "off",
    soundBlocked: false,
    ending: { reason: why, retryAfterS },
  };
}
