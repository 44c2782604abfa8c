/** The events that a page hears of its widget. */

import type { Call, CallEvent } from "../core/call.ts";

const latest = new WeakMap<HTMLElement, string>();

/** Tell the page what has changed, as DOM events of the widget's element. */
export function tellPage(host: HTMLElement, call: Call, event: CallEvent, callId: string): void {
  const tell = (name: string, detail: object) =>
    host.dispatchEvent(
      new CustomEvent(`voicefleet:${name}`, { detail, bubbles: true, composed: true }),
    );
  const { status, microphone, textOnly } = call;
  const state = `${status} ${microphone}`;
  if (latest.get(host) !== state) {
    latest.set(host, state);
    tell("state", { status, microphone, textOnly, callId });
  }
  if (event.type === "caption") tell("caption", { ...event.caption, callId });
  if (event.type === "ended") tell("ended", { ...call.ending, callId });
}
