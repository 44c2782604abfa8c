/** The sidecar's API, as the dialler page uses it. */

import { type Json, listOf, objectOf, parsed, textOf } from "../core/json.ts";
import type { Fetch } from "../core/ticket.ts";
import { type CallEventRecord, recordOf } from "./journal.ts";
import { SseReader } from "./sse.ts";

/** How long to wait before a stream of events that broke is asked for again. */
const AGAIN_AFTER_MS = 1_000;

export interface Bot {
  readonly botId: string;
  readonly name: string;
  readonly config: Json;
}

/** The sidecar said no; the message is its own. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export class Backend {
  constructor(
    readonly server: string,
    readonly apiKey: string,
    private readonly ask: Fetch = (url, init) => fetch(url, init),
  ) {}

  /** Return the bots that the key may call.
   *
   * @throws {ApiError} the sidecar said no.
   */
  async bots(): Promise<readonly Bot[]> {
    const answer = objectOf(await this.#get("api/v1/bots"));
    return listOf(answer.bots).map((each) => {
      const bot = objectOf(each);
      const botId = textOf(bot.bot_id);
      return { botId, name: textOf(bot.name) || botId, config: bot.config ?? null };
    });
  }

  /** Return where a recording is played from. */
  recordingUrl(token: string): string {
    return this.#url(`api/v1/public/recordings/${encodeURIComponent(token)}`);
  }

  /** Yield a call's events from its first, each once, until the signal aborts. */
  async *events(
    callId: string,
    signal: AbortSignal,
    againAfterMs = AGAIN_AFTER_MS,
  ): AsyncGenerator<CallEventRecord> {
    let last = 0;
    while (!signal.aborted) {
      try {
        for await (const event of this.#stream(callId, last, signal)) {
          last = event.sequence;
          yield event;
        }
      } catch (error) {
        // Whoever starts anew, or stands in for a sidecar that does, says so by 500 and above.
        if (error instanceof ApiError && error.status < 500) throw error;
      }
      if (!signal.aborted) await pause(againAfterMs);
    }
  }

  async *#stream(
    callId: string,
    last: number,
    signal: AbortSignal,
  ): AsyncGenerator<CallEventRecord> {
    const query = new URLSearchParams({ call_id: callId, after: String(last) });
    const response = await this.#request(`api/v1/events?${query}`, signal);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const cut = new SseReader();
    while (reader) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const { data } of cut.read(value)) {
        const event = recordOf(data);
        if (event) yield event;
      }
    }
  }

  async #get(path: string): Promise<Json> {
    return parsed(await (await this.#request(path)).text());
  }

  async #request(path: string, signal?: AbortSignal): Promise<Response> {
    const headers = { "X-API-Key": this.apiKey };
    const response = await this.ask(this.#url(path), { headers, ...(signal && { signal }) });
    if (response.ok) return response;
    const error = objectOf(objectOf(parsed(await response.text())).error);
    throw new ApiError(response.status, textOf(error.message) || `HTTP ${response.status}`);
  }

  #url(path: string): string {
    return new URL(path, this.server).href;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
