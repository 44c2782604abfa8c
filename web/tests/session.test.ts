import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Call, CallEvent } from "../src/core/call.ts";
import { type Input, NoMicrophone } from "../src/core/microphone.ts";
import type { Line } from "../src/core/room.ts";
import { Session, type World } from "../src/core/session.ts";
import { Refused, type Ticket } from "../src/core/ticket.ts";

const TICKET: Ticket = { serverUrl: "wss://lk", token: "jwt", callId: "c1" };

/** A promise that a test settles when it wants to. */
function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: Error) => void = () => undefined;
  const promise = new Promise<T>((kept, broken) => {
    resolve = kept;
    reject = broken;
  });
  return { promise, resolve, reject };
}

/** A room and a microphone that tests open, refuse and hang up as they like. */
class FakeWorld implements World {
  readonly done: string[] = [];
  readonly granted = deferred<boolean>();
  readonly opened = deferred<Input>();
  readonly ticketed = deferred<Ticket>();
  readonly joined = deferred<Line>();
  time = 0;
  tell: (event: CallEvent) => void = () => undefined;

  readonly input = {
    level: () => 0.5,
    setMuted: async (muted: boolean) => void this.done.push(muted ? "muted" : "unmuted"),
    stop: () => void this.done.push("microphone closed"),
  } as unknown as Input;

  readonly line: Line = {
    send: async (text) => {
      this.done.push(`sent ${text}`);
      return `stream of ${text}`;
    },
    typing: async () => void this.done.push("typing"),
    unblockSound: async () => void this.done.push("sound"),
    leave: async () => void this.done.push("left"),
  };

  microphoneIsGranted() {
    return this.granted.promise;
  }
  openMicrophone() {
    this.done.push("microphone asked");
    return this.opened.promise;
  }
  ticket(textOnly: boolean) {
    this.done.push(textOnly ? "text ticket asked" : "ticket asked");
    return this.ticketed.promise;
  }
  join(_: Ticket, input: Input | null, tell: (event: CallEvent) => void) {
    this.done.push(input ? "joined" : "joined without microphone");
    this.tell = tell;
    return this.joined.promise;
  }
  now() {
    return this.time;
  }
}

let world: FakeWorld;
let session: Session;
let seen: Call[];

beforeEach(() => {
  world = new FakeWorld();
  seen = [];
  session = new Session(world, (call) => seen.push(call));
  vi.spyOn(console, "warn").mockReturnValue();
});

/** Let everything that is ready happen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

async function talk(): Promise<void> {
  world.granted.resolve(false);
  world.opened.resolve(world.input);
  world.ticketed.resolve(TICKET);
  world.joined.resolve(world.line);
  await session.start();
  world.tell({ type: "connected" });
  world.done.length = 0;
}

test("where the visitor must be asked, the ticket waits for their answer", async () => {
  world.granted.resolve(false);
  const started = session.start();
  await settle();
  expect(session.call.microphone).toBe("asking");
  expect(world.done).toEqual(["microphone asked"]);
  world.opened.resolve(world.input);
  world.ticketed.resolve(TICKET);
  world.joined.resolve(world.line);
  await started;
  expect(world.done).toEqual(["microphone asked", "ticket asked", "joined"]);
  expect(session.callId).toBe("c1");
  expect(session.level).toBe(0.5);
});

test("where the microphone is granted already, both are opened at once", async () => {
  world.granted.resolve(true);
  void session.start();
  await settle();
  expect(world.done).toEqual(["microphone asked", "ticket asked"]);
});

test.each(["refused", "missing"] as const)("a %s microphone: the call goes on", async (state) => {
  world.granted.resolve(false);
  world.opened.reject(new NoMicrophone(state));
  world.ticketed.resolve(TICKET);
  world.joined.resolve(world.line);
  await session.start();
  expect(world.done.at(-1)).toBe("joined without microphone");
  expect(session.call.microphone).toBe(state);
  await session.setMuted(true);
  expect(session.call.microphone).toBe(state);
});

test("a call by text asks for no microphone", async () => {
  world.ticketed.resolve(TICKET);
  world.joined.resolve(world.line);
  await session.start(true);
  expect(world.done).toEqual(["text ticket asked", "joined without microphone"]);
});

test("a refused ticket ends the call and closes the microphone", async () => {
  world.granted.resolve(true);
  world.opened.resolve(world.input);
  world.ticketed.reject(new Refused("busy", 20, "429"));
  await session.start();
  await settle();
  expect(session.call.ending).toEqual({ reason: "busy", retryAfterS: 20 });
  expect(world.done).toContain("microphone closed");
});

test("a room that cannot be joined is told as no connection", async () => {
  world.ticketed.resolve(TICKET);
  world.joined.reject(new Error("could not establish pc connection"));
  await session.start(true);
  expect(session.call.ending?.reason).toBe("offline");
});

describe("hanging up", () => {
  test("while the microphone is asked for leaves nothing open", async () => {
    world.granted.resolve(false);
    const started = session.start();
    await settle();
    await session.end();
    world.opened.resolve(world.input);
    await started;
    expect(world.done).toEqual(["microphone asked", "microphone closed"]);
    expect(session.call.ending?.reason).toBe("you");
  });

  test("while the room is joined leaves it again", async () => {
    world.ticketed.resolve(TICKET);
    const started = session.start(true);
    await settle();
    await session.end();
    world.joined.resolve(world.line);
    await started;
    expect(world.done.at(-1)).toBe("left");
  });

  test("in the middle leaves the room and closes the microphone", async () => {
    await talk();
    await session.end();
    expect(world.done).toEqual(["microphone closed", "left"]);
    expect(session.call.ending?.reason).toBe("you");
  });

  test("with no call does nothing", async () => {
    await session.end();
    expect(session.call.status).toBe("idle");
  });
});

test("a second start while one is under way asks for nothing", async () => {
  await talk();
  await session.start();
  expect(world.done).toEqual([]);
});

test("what an earlier call's room still tells does not reach the next call", async () => {
  await talk();
  const { tell } = world;
  await session.end();
  await session.start(true);
  tell({ type: "ended", reason: "offline" });
  expect(session.call.status).toBe("connecting");
});

test("muting is shown and done, also back", async () => {
  await talk();
  await session.setMuted(true);
  expect(session.call.microphone).toBe("muted");
  await session.setMuted(false);
  expect(session.call.microphone).toBe("on");
  expect(world.done).toEqual(["muted", "unmuted"]);
});

describe("typing", () => {
  test("sends, and shows the line under its stream's id", async () => {
    await talk();
    await session.send("  Tuesday ");
    expect(world.done).toEqual(["sent Tuesday"]);
    expect(session.call.captions).toEqual([
      { id: "stream of Tuesday", speaker: "customer", text: "Tuesday", final: true },
    ]);
    world.tell({ type: "unsent", id: "stream of Tuesday", why: "too_many" });
    expect(session.call.captions[0]?.unsent).toBe("too_many");
  });

  test("shows what could not be sent", async () => {
    await talk();
    world.line.send = () => Promise.reject(new Error("closed"));
    await session.send("Tuesday");
    await session.send("x".repeat(2_001));
    expect(session.call.captions.map(({ unsent }) => unsent)).toEqual(["offline", "too_long"]);
    expect(new Set(session.call.captions.map(({ id }) => id)).size).toBe(2);
  });

  test("of nothing, or without a call, does nothing", async () => {
    await session.send("Hello?");
    await talk();
    await session.send("  ");
    expect([world.done, session.call.captions]).toEqual([[], []]);
  });

  test("is told every two seconds at most, and anew after a message", async () => {
    await talk();
    const typeAt = async (time: number) => {
      world.time = time;
      await session.typing();
    };
    await typeAt(0);
    await typeAt(1_999);
    await typeAt(2_000);
    expect(world.done).toEqual(["typing", "typing"]);
    await session.send("Yes");
    await typeAt(2_100);
    expect(world.done.slice(2)).toEqual(["sent Yes", "typing"]);
  });
});

test("every change is shown, and nothing twice", async () => {
  await talk();
  const before = seen.length;
  world.tell({ type: "reconnected" });
  expect(seen.length).toBe(before);
  world.tell({ type: "reconnecting" });
  expect(seen.at(-1)?.status).toBe("reconnecting");
});
