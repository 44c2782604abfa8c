/** The dialler page: an API key first, then bots to call and calls to look at. */

import { make, setText } from "../core/dom.ts";
import { Backend, type Bot } from "./backend.ts";
import { callSection } from "./call_section.ts";

/** The key lives as long as the tab. */
const KEY = "voicefleet.api_key";
const SERVER = new URL(".", location.href).href;

const page = document.getElementById("page") ?? document.body;

function askForKey(problem = ""): void {
  const key = make("input", {
    id: "key",
    type: "password",
    required: true,
    autocomplete: "off",
    testid: "key",
  });
  const alarm = make("p", { className: "alarm", role: "alert", testid: "problem" });
  const form = make(
    "form",
    { className: "card" },
    make("h2", {}, "Sign in"),
    make("label", { htmlFor: "key" }, "API key"),
    key,
    make("p", { className: "quiet" }, "Kept in this tab only, until you close it."),
    alarm,
    make("button", { type: "submit", className: "primary", testid: "sign-in" }, "Continue"),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    void open(key.value.trim());
  };
  setText(alarm, problem);
  page.replaceChildren(form);
  key.focus();
}

async function open(apiKey: string): Promise<void> {
  const backend = new Backend(SERVER, apiKey);
  let bots: readonly Bot[];
  try {
    bots = await backend.bots();
  } catch (error) {
    sessionStorage.removeItem(KEY);
    return askForKey(error instanceof Error ? error.message : String(error));
  }
  sessionStorage.setItem(KEY, apiKey);
  page.replaceChildren(...callSection(backend, bots, leave));
}

function leave(): void {
  sessionStorage.removeItem(KEY);
  askForKey();
}

const kept = sessionStorage.getItem(KEY);
if (kept) void open(kept);
else askForKey();
