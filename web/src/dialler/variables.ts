/** What a bot's texts want to know about a call: the names in its templates. */

import type { Json } from "../core/json.ts";

const NAME = /\{\{\s*(?:(?:call|crm)\.)?([A-Za-z0-9_-]+)\s*\}\}/g;
/** What the platform itself knows of every call. */
const KNOWN = new Set([
  "caller_id",
  "call_direction",
  "did",
  "duration",
  "recording_url",
  "stream_id",
]);

/** Return the names, each once, in the order in which they are met. */
export function variablesOf(config: Json): readonly string[] {
  const names = new Set<string>();
  collect(config, names);
  return [...names];
}

function collect(value: Json, names: Set<string>): void {
  if (typeof value === "string") {
    for (const [, name = ""] of value.matchAll(NAME)) if (!KNOWN.has(name)) names.add(name);
  } else if (typeof value === "object" && value !== null) {
    for (const each of Object.values(value)) collect(each, names);
  }
}
