/** A call's events as lines to read, and how long its answers took. */

import { type Json, type JsonObject, numberOf, objectOf, parsed, textOf } from "../core/json.ts";

/** One event of the stream; `data` depends on `type`. */
export interface CallEventRecord {
  readonly sequence: number;
  readonly type: string;
  readonly atMs: number;
  readonly data: JsonObject;
}

export interface Turn {
  readonly turn: number;
  readonly responseMs: number | null;
  /** What each part added, in ms. */
  readonly stages: readonly (readonly [string, number])[];
}

const PREFIX = "voicefleet.call.";
const STAGES = [
  "stt_ms",
  "endpointing_ms",
  "tool_ms",
  "llm_ttft_ms",
  "clause_ms",
  "tts_ttfb_ms",
  "sending_ms",
  "playback_ms",
  "lead_in_ms",
];

/** Return an event out of a message's data; null for what is none. */
export function recordOf(data: string): CallEventRecord | null {
  const event = objectOf(parsed(data));
  const type = textOf(event.type);
  const sequence = numberOf(event.sequence);
  if (!type.startsWith(PREFIX) || sequence === null) return null;
  return {
    sequence,
    type: type.slice(PREFIX.length),
    atMs: Date.parse(textOf(event.time)) || 0,
    data: objectOf(event.data),
  };
}

/** Return an event in a line of words. */
export function lineOf({ type, data }: CallEventRecord): string {
  switch (type) {
    case "state":
      return `${textOf(data.previous)} → ${textOf(data.state)}`;
    case "transcript":
      return `${textOf(data.speaker)}: ${textOf(data.text)}`;
    case "latency":
      return `turn ${numberOf(data.turn) ?? "?"}: ${msText(numberOf(data.response_ms))}`;
    case "intent":
      return facts(data, ["name", "confidence", "slots"]);
    case "tool":
      return facts(data, ["name", "duration_ms", "error", "arguments", "result"]);
    case "ended":
      return facts(data, ["reason", "detail", "disconnected_by"]);
    case "result":
      return "the result is there";
    default:
      return facts(
        data,
        // When it was is shown beside it.
        Object.keys(data).filter((name) => name !== "at"),
      );
  }
}

/** Return the turn that a latency event tells of; null for any other event. */
export function turnOf({ type, data }: CallEventRecord): Turn | null {
  const turn = numberOf(data.turn);
  if (type !== "latency" || turn === null) return null;
  const stages = STAGES.flatMap((name) => {
    const ms = numberOf(data[name]);
    return ms === null ? [] : [[name.replace(/_ms$/, ""), ms] as const];
  });
  return { turn, responseMs: numberOf(data.response_ms), stages };
}

/** Return a duration as it is shown. */
export function msText(ms: number | null): string {
  return ms === null ? "not known" : `${Math.round(ms)} ms`;
}

function facts(data: JsonObject, names: readonly string[]): string {
  const shown = names.filter((name) => !isNothing(data[name]));
  return shown.map((name) => `${name} ${textFor(data[name])}`).join(" · ");
}

function isNothing(value: Json | undefined): boolean {
  return value === undefined || value === null || value === "";
}

function textFor(value: Json | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
