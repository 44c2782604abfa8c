import { describe, expect, test } from "vitest";
import {
  after,
  type Call,
  type CallEvent,
  isConnected,
  isLive,
  NO_CALL,
} from "../src/core/call.ts";

const STARTED: CallEvent = { type: "started", textOnly: false };
const CONNECTED: CallEvent = { type: "connected" };

function callAfter(...events: CallEvent[]): Call {
  return events.reduce(after, NO_CALL);
}

const talking = callAfter(STARTED, CONNECTED, { type: "activity", activity: "speaking" });

test("a call connects, and shows what the bot does", () => {
  expect(callAfter(STARTED).status).toBe("connecting");
  expect(callAfter(STARTED, CONNECTED).status).toBe("listening");
  expect(talking.status).toBe("speaking");
  expect(after(talking, { type: "activity", activity: "thinking" }).status).toBe("thinking");
});

test("a bot that speaks before the line is up is shown once it is", () => {
  const early = callAfter(STARTED, { type: "activity", activity: "speaking" });
  expect(early.status).toBe("connecting");
  expect(after(early, CONNECTED).status).toBe("speaking");
});

test("a lost network is shown until it is back, with what the bot did meanwhile", () => {
  const lost = after(talking, { type: "reconnecting" });
  expect(lost.status).toBe("reconnecting");
  const meanwhile = after(lost, { type: "activity", activity: "listening" });
  expect(meanwhile.status).toBe("reconnecting");
  expect(after(meanwhile, { type: "reconnected" }).status).toBe("listening");
});

test("what the bot said of the end says more than a line that is gone", () => {
  const told = after(talking, { type: "told", reason: "time" });
  expect(told.status).toBe("speaking");
  expect(after(told, { type: "ended", reason: "offline" }).ending?.reason).toBe("time");
});

test("the visitor's own hang-up says more than the bot", () => {
  const told = after(talking, { type: "told", reason: "failed" });
  expect(after(told, { type: "ended", reason: "you" }).ending?.reason).toBe("you");
});

test("a refusal keeps when to ask again", () => {
  const refused = callAfter(STARTED, { type: "ended", reason: "busy", retryAfterS: 20 });
  expect(refused).toMatchObject({ status: "ended", ending: { reason: "busy", retryAfterS: 20 } });
});

describe("a call that is over", () => {
  const over = after(talking, { type: "ended", reason: "bot" });

  test.each<CallEvent>([
    CONNECTED,
    { type: "activity", activity: "speaking" },
    { type: "reconnecting" },
    { type: "reconnected" },
    { type: "microphone", state: "on" },
    { type: "sound", blocked: true },
    { type: "told", reason: "time" },
    { type: "ended", reason: "offline" },
  ])("is not changed by $type", (event) => {
    expect(after(over, event)).toBe(over);
  });

  test("still gets its last words", () => {
    const caption = { id: "1", speaker: "bot", text: "Goodbye.", final: true } as const;
    expect(after(over, { type: "caption", caption }).captions).toEqual([caption]);
  });

  test("makes room for the next one, of which nothing is known", () => {
    expect(after(over, { type: "started", textOnly: true })).toEqual({
      ...NO_CALL,
      status: "connecting",
      textOnly: true,
    });
  });
});

test("a second start changes nothing", () => {
  expect(after(talking, STARTED)).toBe(talking);
});

test("only a call that is up hears what is typed", () => {
  expect([NO_CALL, callAfter(STARTED), talking].map(isLive)).toEqual([false, true, true]);
  expect([NO_CALL, callAfter(STARTED), talking].map(isConnected)).toEqual([false, false, true]);
});
