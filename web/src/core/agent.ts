/** What the bot's participant says about itself, in this call's terms. */

import type { Activity, EndReason } from "./call.ts";

/** LiveKit's convention: what an agent is doing. */
export const STATE = "lk.agent.state";
/** Ours: how the call ended, in the words of a result's `disconnected_by`. */
export const ENDED = "vf.ended";

const ACTIVITIES: Readonly<Record<string, Activity>> = {
  listening: "listening",
  thinking: "thinking",
  speaking: "speaking",
};

const ENDINGS: Readonly<Record<string, EndReason>> = {
  bot: "bot",
  customer: "you",
  outside_hours: "closed",
  RNR: "silence",
  timeout: "time",
  transfer_to_agent: "bot",
};

/** Return what the bot is doing; null while it is not ready, or for a word of another time. */
export function activityOf(attributes: Readonly<Record<string, string>>): Activity | null {
  return ACTIVITIES[attributes[STATE] ?? ""] ?? null;
}

/** Return how the bot says that the call ended; null while it goes on. */
export function endingOf(attributes: Readonly<Record<string, string>>): EndReason | null {
  const word = attributes[ENDED];
  return word ? (ENDINGS[word] ?? "failed") : null;
}
