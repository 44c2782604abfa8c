import { expect, test } from "vitest";
import { activityOf, endingOf } from "../src/core/agent.ts";
import type { CallEvent } from "../src/core/call.ts";
import { readCaption } from "../src/core/room.ts";

test("what the bot does is read from LiveKit's attribute", () => {
  expect(activityOf({ "lk.agent.state": "thinking" })).toBe("thinking");
  expect(activityOf({ "lk.agent.state": "initializing" })).toBeNull();
  expect(activityOf({})).toBeNull();
});

test.each([
  ["bot", "bot"],
  ["customer", "you"],
  ["timeout", "time"],
  ["RNR", "silence"],
  ["error", "failed"],
  ["a word of another version", "failed"],
])("an end told as %s is %s", (word, reason) => {
  expect(endingOf({ "vf.ended": word })).toBe(reason);
});

test("a call that goes on has no ending", () => {
  expect(endingOf({})).toBeNull();
  expect(endingOf({ "vf.ended": "" })).toBeNull();
});

type Reader = Parameters<typeof readCaption>[0];

function stream(attributes: Record<string, string>, pieces: AsyncIterable<string>): Reader {
  const info = { id: "s1", attributes } as unknown as Reader["info"];
  return { info, [Symbol.asyncIterator]: () => pieces[Symbol.asyncIterator]() } as Reader;
}

async function told(reader: Reader): Promise<CallEvent[]> {
  const events: CallEvent[] = [];
  await readCaption(reader, "bot", (event) => events.push(event));
  return events;
}

test("a line grows as it is heard and is final once its stream says so", async () => {
  const attributes = { "lk.segment_id": "line-1", "lk.transcription_final": "false" };
  async function* pieces() {
    yield "Good ";
    yield "morning.";
    attributes["lk.transcription_final"] = "true";
  }
  const line = { id: "line-1", speaker: "bot" };
  expect(await told(stream(attributes, pieces()))).toEqual([
    { type: "caption", caption: { ...line, text: "Good ", final: false } },
    { type: "caption", caption: { ...line, text: "Good morning.", final: false } },
    { type: "caption", caption: { ...line, text: "Good morning.", final: true } },
  ]);
});

test("an interim line stays uncertain, and one without a name is its stream's", async () => {
  async function* pieces() {
    yield "I'd like";
  }
  const events = await told(stream({ "lk.transcription_final": "false" }, pieces()));
  expect(events.at(-1)).toEqual({
    type: "caption",
    caption: { id: "s1", speaker: "bot", text: "I'd like", final: false },
  });
});

test("a speaker who vanishes leaves what was heard", async () => {
  async function* pieces() {
    yield "One mo";
    throw new Error("stream closed");
  }
  const last = (await told(stream({}, pieces()))).at(-1);
  expect(last).toMatchObject({ caption: { text: "One mo", final: true } });
});
