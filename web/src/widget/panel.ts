/** The panel over the button: what a visitor sees of the call, and does with it. */

import { browserWorld } from "../core/browser.ts";
import { type Call, isConnected, isLive } from "../core/call.ts";
import { make, setText } from "../core/dom.ts";
import { LONGEST_MESSAGE, Session } from "../core/session.ts";
import { widgetTicket } from "../core/ticket.ts";
import { Transcript } from "../core/transcript.ts";
import { ENGLISH, microphoneText, statusText } from "../core/words.ts";
import type { Panel, Settings } from "./element.ts";
import { tellPage } from "./page_events.ts";
import css from "./panel.css?inline";

/** How often the microphone's level is shown. */
const LEVEL_EVERY_MS = 100;

/** Put the panel beside its button. */
export function mount(host: HTMLElement, launcher: HTMLButtonElement, settings: Settings): Panel {
  const root = launcher.getRootNode() as ShadowRoot;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];

  const words = { ...ENGLISH, ...settings.words };
  const transcript = new Transcript(words);
  const session = new Session(
    browserWorld((textOnly) => widgetTicket({ ...settings, textOnly })),
    (call, event) => {
      draw(call);
      tellPage(host, call, event, session.callId);
    },
  );
  const start = (textOnly = settings.textOnly) => session.start(textOnly);
  const mute = (muted = session.call.microphone !== "muted") => session.setMuted(muted);
  const button = (testid: string, text: string, className: string, onclick: () => unknown) =>
    make("button", { type: "button", testid, className, onclick: () => void onclick() }, text);

  const dot = make("span", { className: "dot", ariaHidden: "true" });
  const status = make("span", { role: "status", testid: "vf-status" });
  const state = make("p", { className: "state" }, dot, status);
  const notice = make("p", { className: "notice", role: "alert", testid: "vf-notice" });
  const intro = make("p", { className: "intro" });
  const sound = make(
    "p",
    { className: "notice" },
    button("vf-sound", words.sound, "", () => session.unblockSound()),
  );
  const input = make("input", {
    type: "text",
    placeholder: words.message,
    ariaLabel: words.message,
    autocomplete: "off",
    maxLength: LONGEST_MESSAGE,
    testid: "vf-message",
    oninput: () => void session.typing(),
  });
  const form = make(
    "form",
    { testid: "vf-form" },
    input,
    make("button", { type: "submit", testid: "vf-send" }, words.send),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    void session.send(input.value);
    input.value = "";
  };
  const startButton = button("vf-start", words.start, "start", () => start());
  const typeButton = button("vf-start-text", words.startText, "", () => start(true));
  const muteButton = button("vf-mute", words.mute, "", () => mute());
  const meter = make("meter", { max: 1, testid: "vf-level", ariaLabel: words.level });
  const endButton = button("vf-end", words.end, "end", () => session.end());
  const title = make("h2", { id: "title" }, words.title);
  const panel = make(
    "section",
    { className: "panel", role: "dialog", testid: "vf-panel", hidden: true, tabIndex: -1 },
    make(
      "header",
      {},
      title,
      button("vf-close", "×", "close", () => show(false)),
    ),
    state,
    notice,
    sound,
    intro,
    transcript.list,
    transcript.announcer,
    form,
    make("footer", {}, startButton, typeButton, muteButton, meter, endButton),
  );
  panel.setAttribute("aria-labelledby", "title");
  panel.querySelector(".close")?.setAttribute("aria-label", words.minimise);
  panel.onkeydown = (event) => {
    if (event.key === "Escape") show(false);
  };
  let watching: ReturnType<typeof setInterval> | undefined;
  root.prepend(panel);
  draw(session.call);

  function show(shown: boolean): void {
    if (panel.hidden !== shown) return;
    panel.hidden = !shown;
    launcher.ariaExpanded = String(shown);
    if (!shown) launcher.focus();
    else if (isLive(session.call)) input.focus();
    else startButton.focus();
  }

  function draw(call: Call): void {
    const live = isLive(call);
    const focused = root.activeElement;
    state.className = `state ${call.status}`;
    setText(status, statusText(call, words));
    setText(notice, live ? microphoneText(call, words) : "");
    setText(intro, call.status === "idle" ? introText() : "");
    sound.hidden = !call.soundBlocked;
    form.hidden = !isConnected(call);
    const again = call.status === "ended";
    startButton.textContent = again
      ? words.again
      : settings.textOnly
        ? words.startChat
        : words.start;
    startButton.hidden = live;
    typeButton.hidden = live || settings.textOnly;
    const speaks = call.microphone === "on" || call.microphone === "muted";
    muteButton.hidden = meter.hidden = !live || !speaks;
    muteButton.textContent = call.microphone === "muted" ? words.unmute : words.mute;
    muteButton.className = call.microphone === "muted" ? "muted" : "";
    endButton.hidden = !live;
    endButton.textContent = call.textOnly ? words.endChat : words.end;
    launcher.classList.toggle("live", live);
    transcript.list.hidden = call.status === "idle";
    transcript.show(call.captions);
    keepFocus(focused, live);
    watchLevel(!meter.hidden);
  }

  function introText(): string {
    return settings.textOnly ? words.introText : words.intro;
  }

  /** A button that vanishes under the keyboard hands its place on. */
  function keepFocus(focused: Element | null, live: boolean): void {
    if (focused instanceof HTMLElement && panel.contains(focused) && isHidden(focused)) {
      // Not on to hanging up, where a second press of Enter would land.
      (live ? (form.hidden ? panel : input) : startButton).focus();
    }
  }

  function watchLevel(shown: boolean): void {
    if (shown === (watching !== undefined)) return;
    clearInterval(watching);
    watching = shown
      ? setInterval(() => {
          meter.value = session.level;
        }, LEVEL_EVERY_MS)
      : undefined;
  }

  return { show, start, end: () => session.end(), mute, send: (text) => session.send(text) };
}

function isHidden(element: HTMLElement): boolean {
  return element.closest("[hidden]") !== null;
}
