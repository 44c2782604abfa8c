/** All that the sidecar tells of a call: events and latency live, result and recording at the end. */

import { make } from "../core/dom.ts";
import { type JsonObject, textOf } from "../core/json.ts";
import type { Backend } from "./backend.ts";
import { type CallEventRecord, lineOf, msText, type Turn, turnOf } from "./journal.ts";

export class Inspection {
  readonly section: HTMLElement;
  readonly #events = make("ol", { className: "events", tabIndex: 0, testid: "events" });
  readonly #turns = make("tbody");
  readonly #latency: HTMLElement;
  readonly #result = make("div", { testid: "result" });
  #following = new AbortController();
  #beganMs: number | null = null;
  #recordingToken = "";
  #isRecorded = false;

  constructor(private readonly backend: Backend) {
    this.#events.ariaLabel = "Events";
    this.#latency = make(
      "div",
      { hidden: true, testid: "latency" },
      make("h3", {}, "How long each answer took"),
      make(
        "table",
        {},
        make("thead", {}, make("tr", {}, heading("Turn"), heading("Answer"), heading("Of which"))),
        this.#turns,
      ),
    );
    this.section = make(
      "section",
      { className: "card", ariaLabel: "What happened", testid: "inspection" },
      make("h2", {}, "What happened"),
      this.#latency,
      this.#result,
      make("h3", {}, "Events"),
      this.#events,
    );
    this.clear();
  }

  /** Forget the call before. */
  clear(): void {
    this.#following.abort();
    this.#beganMs = null;
    this.#recordingToken = "";
    this.#isRecorded = false;
    this.#latency.hidden = true;
    this.#turns.replaceChildren();
    this.#result.replaceChildren();
    this.#events.replaceChildren(make("li", { className: "quiet" }, "Nothing yet."));
  }

  /** Show a call's events as they come, until another one is followed. */
  async follow(callId: string): Promise<void> {
    this.clear();
    this.#following = new AbortController();
    const { signal } = this.#following;
    try {
      for await (const event of this.backend.events(callId, signal)) {
        if (signal.aborted) return;
        this.#show(event);
      }
    } catch (error) {
      this.#events.append(make("li", { className: "alarm" }, String(error)));
    }
  }

  #show(event: CallEventRecord): void {
    if (this.#beganMs === null) this.#events.replaceChildren();
    this.#beganMs ??= event.atMs;
    const at = `${((event.atMs - this.#beganMs) / 1000).toFixed(1)} s`;
    this.#events.append(
      make(
        "li",
        {},
        make("span", { className: "at" }, at),
        make("span", { className: "type" }, event.type),
        make("span", {}, lineOf(event)),
      ),
    );
    this.#events.scrollTop = this.#events.scrollHeight;
    const turn = turnOf(event);
    if (turn) this.#showTurn(turn);
    if (event.type === "result") this.#showResult(event.data);
    if (event.type === "recording") {
      this.#isRecorded = true;
      this.#showRecording();
    }
  }

  #showTurn({ turn, responseMs, stages }: Turn): void {
    this.#latency.hidden = false;
    const parts = stages.map(([name, ms]) => `${name} ${Math.round(ms)}`).join(" · ");
    this.#turns.append(
      make(
        "tr",
        {},
        make("td", {}, String(turn)),
        make("td", { className: "ms" }, msText(responseMs)),
        make("td", { className: "quiet" }, parts),
      ),
    );
  }

  #showResult(result: JsonObject): void {
    this.#recordingToken = textOf(result.recording_access_token);
    const raw = make("pre", { tabIndex: 0 }, JSON.stringify(result, null, 2));
    raw.ariaLabel = "The result as JSON";
    this.#result.replaceChildren(
      make("h3", {}, "Result"),
      make(
        "dl",
        {},
        ...["disconnected_by", "call_duration_seconds", "post_call_analysis"].flatMap((key) => [
          make("dt", {}, key),
          make("dd", {}, shown(result[key])),
        ]),
      ),
      make("details", {}, make("summary", {}, "All of it"), raw),
    );
    this.#showRecording();
  }

  /** Which of the two comes first, the result or the recording, nobody knows. */
  #showRecording(): void {
    const known = this.#result.querySelector("audio");
    if (known || !this.#isRecorded || this.#recordingToken === "") return;
    const player = make("audio", { controls: true, preload: "metadata", testid: "recording" });
    player.src = this.backend.recordingUrl(this.#recordingToken);
    player.ariaLabel = "Recording";
    this.#result.append(make("h3", {}, "Recording"), player);
  }
}

function heading(text: string): HTMLElement {
  const cell = make("th", {}, text);
  cell.setAttribute("scope", "col");
  return cell;
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}
