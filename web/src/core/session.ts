/** Holds one call at a time: asks for it, joins it, and keeps its view up to date. */

import { after, type Call, type CallEvent, isConnected, isLive, NO_CALL } from "./call.ts";
import type { Unsent } from "./captions.ts";
import { type Input, NoMicrophone } from "./microphone.ts";
import type { Line } from "./room.ts";
import { Refused, type Ticket } from "./ticket.ts";

/** At most so often the bot is told that somebody types. */
const TYPING_EVERY_MS = 2_000;
/** The longest message a bot takes. */
export const LONGEST_MESSAGE = 2_000;

/** The world as a session sees it. */
export interface World {
  ticket(textOnly: boolean): Promise<Ticket>;
  microphoneIsGranted(): Promise<boolean>;
  openMicrophone(): Promise<Input>;
  join(ticket: Ticket, input: Input | null, tell: (event: CallEvent) => void): Promise<Line>;
  /** Monotonic milliseconds. */
  now(): number;
}

export type Watcher = (call: Call, event: CallEvent) => void;

export class Session {
  #call: Call = NO_CALL;
  #line: Line | null = null;
  #input: Input | null = null;
  #attempt = 0;
  #typedAt = -Infinity;
  #typed = 0;
  #callId = "";

  constructor(
    private readonly world: World,
    private readonly watch: Watcher,
  ) {}

  get call(): Call {
    return this.#call;
  }

  /** The id of the newest call; empty before there is one. */
  get callId(): string {
    return this.#callId;
  }

  /** How loud the microphone is, 0 to 1. */
  get level(): number {
    return this.#input?.level() ?? 0;
  }

  /** Start a call, unless there is one; resolved once it is up, or has failed. */
  async start(textOnly = false): Promise<void> {
    if (isLive(this.#call)) return;
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#callId = "";
    this.#tell({ type: "started", textOnly });
    const current = () => attempt === this.#attempt && isLive(this.#call);
    try {
      const ticket = await this.#prepare(textOnly, current);
      if (!ticket || !current()) return;
      this.#callId = ticket.callId;
      const line = await this.world.join(ticket, this.#input, (event) => {
        if (attempt === this.#attempt) this.#tell(event);
      });
      if (current()) this.#line = line;
      else await line.leave();
    } catch (error) {
      if (current()) this.#fail(error);
    }
  }

  async end(): Promise<void> {
    const line = this.#line;
    this.#tell({ type: "ended", reason: "you" });
    await line?.leave();
  }

  async setMuted(muted: boolean): Promise<void> {
    if (!this.#input || !isLive(this.#call)) return;
    this.#tell({ type: "microphone", state: muted ? "muted" : "on" });
    await this.#input.setMuted(muted);
  }

  /** Send what was typed; an unsent message is shown as such. */
  async send(text: string): Promise<void> {
    const message = text.trim();
    if (!message || !isConnected(this.#call)) return;
    this.#typedAt = -Infinity;
    if (message.length > LONGEST_MESSAGE) return this.#show(message, "too_long");
    try {
      const id = await this.#line?.send(message);
      this.#show(message, null, id);
    } catch {
      this.#show(message, "offline");
    }
  }

  /** Note that something is being typed, so that the bot does not ask whether anybody is there. */
  async typing(): Promise<void> {
    const now = this.world.now();
    if (!isConnected(this.#call) || now - this.#typedAt < TYPING_EVERY_MS) return;
    this.#typedAt = now;
    // Only a courtesy: a message that is sent tells the same.
    await this.#line?.typing().catch(() => undefined);
  }

  async unblockSound(): Promise<void> {
    await this.#line?.unblockSound();
  }

  /** Open what a call needs; null if the visitor has hung up meanwhile. */
  async #prepare(textOnly: boolean, current: () => boolean): Promise<Ticket | null> {
    if (textOnly) return await this.world.ticket(true);
    const opening = this.#openMicrophone(current);
    // The bot begins to speak once there is a ticket, so nobody is asked anything after that.
    if (!(await this.world.microphoneIsGranted())) await opening;
    const ticket = current() ? await this.world.ticket(false) : null;
    await opening;
    return ticket;
  }

  async #openMicrophone(current: () => boolean): Promise<void> {
    this.#tell({ type: "microphone", state: "asking" });
    try {
      const input = await this.world.openMicrophone();
      if (!current()) return input.stop();
      this.#input = input;
      this.#tell({ type: "microphone", state: "on" });
    } catch (error) {
      // The call goes on without: the visitor listens and types.
      const state = error instanceof NoMicrophone ? error.state : "missing";
      if (current()) this.#tell({ type: "microphone", state });
    }
  }

  #fail(error: unknown): void {
    if (error instanceof Refused) {
      this.#tell({ type: "ended", reason: error.reason, retryAfterS: error.retryAfterS });
    } else {
      this.#tell({ type: "ended", reason: "offline" });
    }
    // Visitors are told in plain words; this is for whoever builds the page.
    // biome-ignore lint/suspicious/noConsole: the one place
    console.warn("voicefleet:", error);
  }

  #show(text: string, unsent: Unsent | null, id?: string): void {
    this.#typed += 1;
    const caption = { id: id ?? `typed-${this.#typed}`, speaker: "customer", text, final: true };
    this.#tell({
      type: "caption",
      caption: { ...caption, speaker: "customer", ...(unsent ? { unsent } : {}) },
    });
  }

  #tell(event: CallEvent): void {
    const before = this.#call;
    this.#call = after(before, event);
    if (this.#call.status === "ended" && before.status !== "ended") this.#release();
    if (this.#call !== before) this.watch(this.#call, event);
  }

  #release(): void {
    this.#input?.stop();
    this.#input = null;
    this.#line = null;
  }
}
