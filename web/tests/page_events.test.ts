import { expect, test } from "vitest";
import { after, type Call, type CallEvent, NO_CALL } from "../src/core/call.ts";
import { tellPage } from "../src/widget/page_events.ts";

test("a page hears states once, captions each time, and the end with its reason", () => {
  const host = new EventTarget() as HTMLElement;
  const heard: [string, unknown][] = [];
  for (const name of ["state", "caption", "ended"]) {
    host.addEventListener(`voicefleet:${name}`, (event) => {
      heard.push([name, (event as CustomEvent<unknown>).detail]);
    });
  }
  const caption = { id: "a", speaker: "bot", text: "Hello", final: false } as const;
  const events: CallEvent[] = [
    { type: "started", textOnly: true },
    { type: "connected" },
    { type: "caption", caption },
    { type: "sound", blocked: true },
    { type: "told", reason: "time" },
    { type: "ended", reason: "offline" },
  ];
  let call: Call = NO_CALL;
  for (const event of events) {
    call = after(call, event);
    tellPage(host, call, event, "c1");
  }
  const state = (status: string) => ({ status, microphone: "off", textOnly: true, callId: "c1" });
  expect(heard).toEqual([
    ["state", state("connecting")],
    ["state", state("listening")],
    ["caption", { ...caption, callId: "c1" }],
    ["state", state("ended")],
    ["ended", { reason: "time", retryAfterS: null, callId: "c1" }],
  ]);
});
