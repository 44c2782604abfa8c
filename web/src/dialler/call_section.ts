/** Calling from the page: the order, the call as it goes, and all that is known of it. */

import { browserWorld } from "../core/browser.ts";
import { type Call, isConnected, isLive } from "../core/call.ts";
import { make, setText } from "../core/dom.ts";
import { LONGEST_MESSAGE, Session } from "../core/session.ts";
import { diallerTicket } from "../core/ticket.ts";
import { Transcript } from "../core/transcript.ts";
import { ENGLISH, microphoneText, statusText } from "../core/words.ts";
import type { Backend, Bot } from "./backend.ts";
import { botForm, type Order } from "./bot_form.ts";
import { Inspection } from "./inspection.ts";

const LEVEL_EVERY_MS = 100;

/** Return the page's parts. */
export function callSection(
  backend: Backend,
  bots: readonly Bot[],
  leave: () => void,
): readonly HTMLElement[] {
  let order: Order = { botId: "", variables: {}, textOnly: false };
  let inspected = "";
  const inspection = new Inspection(backend);
  const transcript = new Transcript(ENGLISH);
  const session = new Session(
    browserWorld((textOnly) => diallerTicket({ ...backend, ...order, textOnly })),
    draw,
  );
  const form = botForm(bots, (placed) => {
    order = placed;
    inspection.clear();
    void session.start(placed.textOnly);
  });

  const status = make("p", { className: "status", role: "status", testid: "status" });
  const notice = make("p", { className: "notice", role: "alert", testid: "notice" });
  const meter = make("meter", { max: 1, ariaLabel: ENGLISH.level, testid: "level" });
  const mute = make("button", { type: "button", testid: "mute" });
  mute.onclick = () => void session.setMuted(session.call.microphone !== "muted");
  const sound = make("button", { type: "button", testid: "sound" }, ENGLISH.sound);
  sound.onclick = () => void session.unblockSound();
  const end = make("button", { type: "button", className: "danger", testid: "end" });
  end.onclick = () => void session.end();
  const input = make("input", {
    ariaLabel: ENGLISH.message,
    placeholder: ENGLISH.message,
    autocomplete: "off",
    maxLength: LONGEST_MESSAGE,
    testid: "message",
    oninput: () => void session.typing(),
  });
  const typing = make(
    "form",
    { className: "typing" },
    input,
    make("button", { type: "submit", className: "primary", testid: "send" }, ENGLISH.send),
  );
  typing.onsubmit = (event) => {
    event.preventDefault();
    void session.send(input.value);
    input.value = "";
  };
  const call = make(
    "section",
    { className: "card call", ariaLabel: "Call", testid: "call-card" },
    make("h2", {}, "Call"),
    status,
    notice,
    transcript.list,
    transcript.announcer,
    typing,
    make("div", { className: "actions" }, mute, meter, sound, end),
  );
  const out = make(
    "button",
    { type: "button", className: "plain", testid: "sign-out" },
    "Sign out",
  );
  out.onclick = () => void session.end().then(leave);
  setInterval(() => {
    if (!meter.hidden) meter.value = session.level;
  }, LEVEL_EVERY_MS);
  draw(session.call);
  return [make("div", { className: "column" }, form, out), call, inspection.section];

  function draw(shown: Call): void {
    const live = isLive(shown);
    const speaks = shown.microphone === "on" || shown.microphone === "muted";
    call.dataset.status = shown.status;
    setText(status, statusText(shown, ENGLISH));
    setText(notice, live ? microphoneText(shown, ENGLISH) : "");
    transcript.show(shown.captions);
    for (const button of form.querySelectorAll("button")) button.disabled = live;
    typing.hidden = !isConnected(shown);
    meter.hidden = mute.hidden = !live || !speaks;
    mute.textContent = shown.microphone === "muted" ? ENGLISH.unmute : ENGLISH.mute;
    sound.hidden = !shown.soundBlocked;
    end.hidden = !live;
    end.textContent = shown.textOnly ? ENGLISH.endChat : ENGLISH.end;
    if (session.callId && session.callId !== inspected) {
      inspected = session.callId;
      void inspection.follow(inspected);
    }
  }
}
