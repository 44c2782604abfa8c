/** Every text that visitors read, in plain words; a page may replace any of them. */

import type { Call, EndReason, Status } from "./call.ts";
import type { Unsent } from "./captions.ts";

export const ENGLISH = {
  launcher: "Talk to us",
  title: "Voice assistant",
  intro: "Ask by voice, or type. The conversation may be recorded.",
  introText: "Ask by typing. The conversation may be kept.",
  start: "Start the call",
  startText: "Type instead",
  startChat: "Start the chat",
  again: "Call again",
  end: "Hang up",
  endChat: "End the chat",
  mute: "Mute",
  unmute: "Unmute",
  minimise: "Minimise",
  captions: "Captions",
  bot: "Assistant",
  customer: "You",
  message: "Type a message",
  send: "Send",
  level: "Microphone level",
  sound: "Turn the sound on",
  loading: "Loading…",
  loadFailed: "This could not be loaded. Please reload the page.",

  idle: "Ready",
  connecting: "Connecting…",
  asking: "Please allow the microphone…",
  listening: "Listening",
  thinking: "Thinking…",
  speaking: "Speaking",
  reconnecting: "The connection is lost. Reconnecting…",
  muted: "You are muted",
  refused: "The microphone is blocked. You can listen, and type.",
  missing: "No microphone was found. You can listen, and type.",

  endedYou: "You hung up",
  endedBot: "The call is over. Goodbye!",
  endedSilence: "The call ended, since nobody spoke",
  endedTime: "The call reached its longest duration",
  endedBusy: "All lines are busy. Please try again later",
  endedBusyFor: "All lines are busy. Please try again in {seconds} s",
  endedClosed: "We are closed now",
  endedUnavailable: "This assistant is not available here",
  endedOffline: "The connection was lost",
  endedFailed: "Something went wrong on our side",

  unsentTooLong: "Not sent: too long",
  unsentTooMany: "Not sent: too many messages at once",
  unsentOffline: "Not sent: no connection",
};

export type Words = typeof ENGLISH;

const ENDED: Readonly<Record<EndReason, keyof Words>> = {
  you: "endedYou",
  bot: "endedBot",
  silence: "endedSilence",
  time: "endedTime",
  busy: "endedBusy",
  closed: "endedClosed",
  unavailable: "endedUnavailable",
  offline: "endedOffline",
  failed: "endedFailed",
};

const UNSENT: Readonly<Record<Unsent, keyof Words>> = {
  too_long: "unsentTooLong",
  too_many: "unsentTooMany",
  offline: "unsentOffline",
};

/** Return what a visitor is told about the call as it stands. */
export function statusText(call: Call, words: Words): string {
  if (call.status === "ended" && call.ending) {
    const { reason, retryAfterS } = call.ending;
    if (reason === "busy" && retryAfterS !== null) {
      return words.endedBusyFor.replace("{seconds}", String(retryAfterS));
    }
    return words[ENDED[reason]];
  }
  if (call.status === "connecting" && call.microphone === "asking") return words.asking;
  return words[call.status as Exclude<Status, "ended">];
}

/** Return what a visitor is told about the microphone; empty where there is nothing to tell. */
export function microphoneText(call: Call, words: Words): string {
  if (call.microphone === "refused" || call.microphone === "missing") {
    return words[call.microphone];
  }
  return call.microphone === "muted" ? words.muted : "";
}

export function unsentText(unsent: Unsent, words: Words): string {
  return words[UNSENT[unsent] ?? "unsentOffline"];
}
