import { expect, test } from "vitest";
import { after, type CallEvent, NO_CALL } from "../src/core/call.ts";
import { ENGLISH, microphoneText, statusText, unsentText } from "../src/core/words.ts";

function callAfter(...events: CallEvent[]) {
  return events.reduce(after, NO_CALL);
}

const STARTED: CallEvent = { type: "started", textOnly: false };

test("the status is told in words", () => {
  expect(statusText(NO_CALL, ENGLISH)).toBe("Ready");
  expect(statusText(callAfter(STARTED), ENGLISH)).toBe("Connecting…");
  const asking = callAfter(STARTED, { type: "microphone", state: "asking" });
  expect(statusText(asking, ENGLISH)).toBe("Please allow the microphone…");
});

test("a full house says when to come again, if that is known", () => {
  const busy = (retryAfterS: number | null) =>
    statusText(callAfter(STARTED, { type: "ended", reason: "busy", retryAfterS }), ENGLISH);
  expect(busy(20)).toBe("All lines are busy. Please try again in 20 s");
  expect(busy(null)).toBe("All lines are busy. Please try again later");
});

test("a page's own words are used", () => {
  expect(statusText(NO_CALL, { ...ENGLISH, idle: "Bereit" })).toBe("Bereit");
});

test.each([
  ["refused", "The microphone is blocked. You can listen, and type."],
  ["missing", "No microphone was found. You can listen, and type."],
  ["muted", "You are muted"],
  ["on", ""],
] as const)("a %s microphone: %s", (state, text) => {
  const call = callAfter(STARTED, { type: "microphone", state });
  expect(microphoneText(call, ENGLISH)).toBe(text);
});

test("a message that was not taken says why, also for a reason of another time", () => {
  expect(unsentText("too_long", ENGLISH)).toBe("Not sent: too long");
  expect(unsentText("new" as "too_long", ENGLISH)).toBe("Not sent: no connection");
});
