import { describe, expect, test } from "vitest";
import { ApiError, Backend } from "../src/dialler/backend.ts";
import { lineOf, msText, recordOf, turnOf } from "../src/dialler/journal.ts";
import { SseReader } from "../src/dialler/sse.ts";
import { variablesOf } from "../src/dialler/variables.ts";

describe("server-sent events", () => {
  const text =
    ': ping\r\n\r\nid: 7\r\nevent: x\r\ndata: {"a":1}\r\n\r\nid: 8\ndata: one\ndata: two\n\n';
  const messages = [
    { id: "7", data: '{"a":1}' },
    { id: "8", data: "one\ntwo" },
  ];

  test("are read out of one piece", () => {
    expect(new SseReader().read(text)).toEqual(messages);
  });

  test.each([1, 2, 3, 7])("are read out of pieces of %i", (size) => {
    const reader = new SseReader();
    const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    expect(pieces.flatMap((piece) => reader.read(piece))).toEqual(messages);
  });

  test("keep a value's own colons, and wait for their end", () => {
    const reader = new SseReader();
    expect(reader.read("data: a: b: c\n")).toEqual([]);
    expect(reader.read("\n")).toEqual([{ id: "", data: "a: b: c" }]);
  });
});

test("a bot's texts name what it wants to know, each once, and nothing that is known", () => {
  const config = {
    opening_message: "Hello {{ call.name }}, {{crm.city}}!",
    rules: [{ say: "{{slot.day}}, {{name}}, {{plan}}" }, { say: "{{call.caller_id}}" }],
    limits: { most: 3, none: null },
  };
  expect(variablesOf(config)).toEqual(["name", "city", "plan"]);
  expect(variablesOf(null)).toEqual([]);
});

function event(type: string, data: object, sequence = 1) {
  const time = "2026-01-05T09:30:02.412Z";
  return JSON.stringify({ type: `voicefleet.call.${type}`, sequence, time, data });
}

function record(type: string, data: object) {
  const read = recordOf(event(type, data));
  if (read === null) throw new Error("no record");
  return read;
}

describe("the journal", () => {
  test.each(["", "[]", "{}", '{"type": "other.thing", "sequence": 1}', '{"type": 3}'])(
    "does not take %s for an event",
    (data) => {
      expect(recordOf(data)).toBeNull();
    },
  );

  test.each([
    ["state", { previous: "answered", state: "talking" }, "answered → talking"],
    ["transcript", { speaker: "bot", text: "Hello." }, "bot: Hello."],
    ["latency", { turn: 2, response_ms: 512.4 }, "turn 2: 512 ms"],
    [
      "intent",
      { name: "book", confidence: 0.9, slots: {} },
      "name book · confidence 0.9 · slots {}",
    ],
    [
      "ended",
      { reason: "bot_ended", detail: "", disconnected_by: "bot" },
      "reason bot_ended · disconnected_by bot",
    ],
    ["result", { session_id: "s" }, "the result is there"],
    ["hold", { at: "2026-01-05T09:30:02Z", type: "leg_held" }, "type leg_held"],
  ])("tells a %s in a line", (type, data, line) => {
    expect(lineOf(record(type, data))).toBe(line);
  });

  test("takes a turn apart into its stages, in their order", () => {
    const data = { turn: 1, response_ms: 500, tts_ttfb_ms: 20, stt_ms: 300, tool_ms: null };
    expect(turnOf(record("latency", data))).toEqual({
      turn: 1,
      responseMs: 500,
      stages: [
        ["stt", 300],
        ["tts_ttfb", 20],
      ],
    });
    expect(turnOf(record("transcript", { turn: 1 }))).toBeNull();
  });

  test("says where a latency is not known", () => {
    expect(msText(null)).toBe("not known");
  });
});

describe("the sidecar", () => {
  const answers = (...bodies: Response[]) => {
    const asked: string[] = [];
    const backend = new Backend("http://sidecar/base/", "vx_1", async (url, init) => {
      asked.push(`${url} ${new Headers(init.headers).get("X-API-Key")}`);
      const next = bodies.shift();
      if (!next) throw new TypeError("Failed to fetch");
      return next;
    });
    return { backend, asked };
  };

  test("lists bots, those without a name by their id", async () => {
    const body = { bots: [{ bot_id: "desk", name: "", config: { a: "b" } }] };
    const { backend, asked } = answers(Response.json(body));
    expect(await backend.bots()).toEqual([{ botId: "desk", name: "desk", config: { a: "b" } }]);
    expect(asked).toEqual(["http://sidecar/base/api/v1/bots vx_1"]);
  });

  test("says no in its own words", async () => {
    const body = { error: { code: "key_invalid", message: "no such key" } };
    const { backend } = answers(Response.json(body, { status: 401 }));
    await expect(backend.bots()).rejects.toEqual(new ApiError(401, "no such key"));
  });

  test("is asked for events from where the stream broke", async () => {
    const stream = (...events: string[]) =>
      new Response(events.map((each) => `data: ${each}\n\n`).join(""));
    const { backend, asked } = answers(
      stream(event("state", {}, 4), event("state", {}, 9)),
      stream(event("ended", {}, 12)),
    );
    const stop = new AbortController();
    const seen: number[] = [];
    for await (const { sequence } of backend.events("c/1", stop.signal, 0)) {
      seen.push(sequence);
      if (sequence === 12) stop.abort();
    }
    expect(seen).toEqual([4, 9, 12]);
    expect(asked).toEqual([
      "http://sidecar/base/api/v1/events?call_id=c%2F1&after=0 vx_1",
      "http://sidecar/base/api/v1/events?call_id=c%2F1&after=9 vx_1",
    ]);
  });

  test("that starts anew is asked for events again", async () => {
    const { backend } = answers(
      Response.json({}, { status: 503 }),
      new Response("<h1>502 Bad Gateway</h1>", { status: 502 }),
      new Response(`data: ${event("ended", {}, 12)}\n\n`),
    );
    const events = backend.events("c1", new AbortController().signal, 0);
    expect((await events.next()).value?.sequence).toBe(12);
  });

  test("that refuses events is not asked again", async () => {
    const { backend } = answers(Response.json({}, { status: 403 }));
    const events = backend.events("c1", new AbortController().signal, 0);
    await expect(events.next()).rejects.toEqual(new ApiError(403, "HTTP 403"));
  });
});
