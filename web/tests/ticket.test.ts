import { describe, expect, test } from "vitest";
import { diallerTicket, type Fetch, Refused, widgetTicket } from "../src/core/ticket.ts";

const VISITOR = {
  server: "https://voice.example.com/base/",
  botId: "desk",
  apiKey: "vw_1",
  metadata: { page: "/prices" },
  textOnly: false,
};
const TESTER = {
  server: "https://voice.example.com/",
  apiKey: "vx_1",
  botId: "desk",
  variables: { name: "Ada" },
  textOnly: true,
};

interface Asked {
  url: string;
  init: RequestInit;
}

function answering(status: number, body: unknown, headers: Record<string, string> = {}) {
  const asked: Asked[] = [];
  const ask: Fetch = async (url, init) => {
    asked.push({ url, init });
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return new Response(text, { status, headers });
  };
  return { ask, asked };
}

async function refusal(ask: Fetch): Promise<Refused> {
  const error: unknown = await widgetTicket(VISITOR, ask).catch((reason: unknown) => reason);
  if (error instanceof Refused) return error;
  throw new Error(`not refused but ${String(error)}`);
}

test("a visitor's ticket is asked for by bot and widget key", async () => {
  const body = { server_url: "wss://lk", participant_token: "jwt", call_id: "c1", room_name: "r" };
  const { ask, asked } = answering(201, body);
  const ticket = await widgetTicket(VISITOR, ask);
  expect(ticket).toEqual({ serverUrl: "wss://lk", token: "jwt", callId: "c1" });
  expect(asked[0]?.url).toBe("https://voice.example.com/base/api/v1/widget/token");
  expect(JSON.parse(String(asked[0]?.init.body))).toEqual({
    bot_id: "desk",
    api_key: "vw_1",
    metadata: { page: "/prices" },
    text_only: false,
  });
  expect(asked[0]?.init.credentials).toBe("omit");
});

test("a tester's ticket is asked for with an API key, and what the bot is to know", async () => {
  const data = { server_url: "wss://lk", token: "jwt", call_id: "c1", room_name: "r" };
  const { ask, asked } = answering(200, { success: true, message: "", data });
  expect(await diallerTicket(TESTER, ask)).toEqual({
    serverUrl: "wss://lk",
    token: "jwt",
    callId: "c1",
  });
  expect(new Headers(asked[0]?.init.headers).get("X-API-Key")).toBe("vx_1");
  expect(JSON.parse(String(asked[0]?.init.body))).toEqual({
    assistant_id: "desk",
    metadata: { name: "Ada" },
    text_only: true,
  });
});

describe("a refusal says why", () => {
  test.each([
    [429, { error: { code: "at_capacity", message: "full" } }, "busy"],
    [503, { error: { code: "no_agent", message: "none" } }, "busy"],
    [503, { error: "closed", code: "outside_hours" }, "closed"],
    [401, { error: { code: "key_invalid" } }, "unavailable"],
    [404, { error: { code: "bot_unknown" } }, "unavailable"],
    [500, "<html>", "failed"],
    [502, "", "failed"],
  ])("%i %o: %s", async (status, body, reason) => {
    expect((await refusal(answering(status, body).ask)).reason).toBe(reason);
  });

  test("and when to ask again, if that is a number", async () => {
    const after = (value: string) => answering(503, {}, { "Retry-After": value }).ask;
    expect((await refusal(after("20"))).retryAfterS).toBe(20);
    expect((await refusal(after("Sat, 21 Nov 2026 08:00:00 GMT"))).retryAfterS).toBeNull();
  });

  test("where nobody answers", async () => {
    const ask: Fetch = () => Promise.reject(new TypeError("Failed to fetch"));
    expect((await refusal(ask)).reason).toBe("offline");
  });

  test.each([{}, [], "no JSON", { server_url: 7, participant_token: "jwt" }])(
    "where the answer is %o",
    async (body) => {
      expect((await refusal(answering(201, body).ask)).reason).toBe("failed");
    },
  );
});
