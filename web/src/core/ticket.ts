/** Asking the server for a call: a ticket for one room, or why there is none. */

import type { EndReason } from "./call.ts";
import { type JsonObject, objectOf, parsed, textOf } from "./json.ts";

export interface Ticket {
  readonly serverUrl: string;
  readonly token: string;
  readonly callId: string;
}

/** The server gave no call; `message` is for whoever builds the page, not for visitors. */
export class Refused extends Error {
  override readonly name = "Refused";

  constructor(
    readonly reason: EndReason,
    readonly retryAfterS: number | null,
    message: string,
  ) {
    super(message);
  }
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface WidgetRequest {
  readonly server: string;
  readonly botId: string;
  readonly apiKey: string;
  readonly metadata: JsonObject;
  readonly textOnly: boolean;
}

/** Ask as a visitor of a page.
 *
 * @throws {Refused} there is no call.
 */
export async function widgetTicket(asked: WidgetRequest, ask: Fetch = fetch): Promise<Ticket> {
  const url = new URL("api/v1/widget/token", asked.server).href;
  const body = {
    bot_id: asked.botId,
    api_key: asked.apiKey,
    metadata: asked.metadata,
    text_only: asked.textOnly,
  };
  const answer = await answerOf(ask, url, {}, body);
  return ticketOf(answer, "participant_token");
}

export interface DiallerRequest {
  readonly server: string;
  readonly apiKey: string;
  readonly botId: string;
  readonly variables: JsonObject;
  readonly textOnly: boolean;
}

/** Ask as somebody who holds an API key, with what the bot is to know.
 *
 * @throws {Refused} there is no call.
 */
export async function diallerTicket(asked: DiallerRequest, ask: Fetch = fetch): Promise<Ticket> {
  const url = new URL("web_call/get_token", asked.server).href;
  const body = {
    assistant_id: asked.botId,
    metadata: asked.variables,
    text_only: asked.textOnly,
  };
  const answer = await answerOf(ask, url, { "X-API-Key": asked.apiKey }, body);
  return ticketOf(objectOf(answer.data), "token");
}

async function answerOf(
  ask: Fetch,
  url: string,
  headers: Record<string, string>,
  body: JsonObject,
): Promise<JsonObject> {
  let response: Response;
  let text: string;
  try {
    response = await ask(url, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "omit",
    });
    text = await response.text();
  } catch (error) {
    throw new Refused("offline", null, `${url} does not answer: ${String(error)}`);
  }
  const answer = objectOf(parsed(text));
  if (!response.ok) throw refusalOf(response, answer);
  return answer;
}

function refusalOf(response: Response, answer: JsonObject): Refused {
  const code = textOf(answer.code) || textOf(objectOf(answer.error).code);
  const message = textOf(answer.detail) || textOf(answer.message) || code;
  return new Refused(
    reasonOf(response.status, code),
    secondsOf(response.headers.get("Retry-After")),
    `${response.status} ${message}`.trim(),
  );
}

function reasonOf(status: number, code: string): EndReason {
  if (code === "outside_hours") return "closed";
  if (status === 429 || status === 503) return "busy";
  return status >= 400 && status < 500 ? "unavailable" : "failed";
}

function secondsOf(header: string | null): number | null {
  return header !== null && /^[0-9]{1,6}$/.test(header) ? Number(header) : null;
}

function ticketOf(answer: JsonObject, tokenKey: string): Ticket {
  const ticket = {
    serverUrl: textOf(answer.server_url),
    token: textOf(answer[tokenKey]),
    callId: textOf(answer.call_id),
  };
  if (!ticket.serverUrl || !ticket.token) {
    throw new Refused("failed", null, "the answer holds no token");
  }
  return ticket;
}
