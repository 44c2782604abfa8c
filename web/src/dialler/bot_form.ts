/** Which bot to call, and what it is to know. */

import { make } from "../core/dom.ts";
import type { JsonObject } from "../core/json.ts";
import type { Bot } from "./backend.ts";
import { variablesOf } from "./variables.ts";

export interface Order {
  readonly botId: string;
  readonly variables: JsonObject;
  readonly textOnly: boolean;
}

/** Return the form; `place` is told what to call. */
export function botForm(bots: readonly Bot[], place: (order: Order) => void): HTMLFormElement {
  const rows = make("div", { className: "rows", testid: "variables" });
  const pick = make(
    "select",
    { id: "bot", testid: "bot" },
    ...bots.map(({ botId, name }) => make("option", { value: botId }, name)),
  );
  const offer = () => {
    const bot = bots.find(({ botId }) => botId === pick.value);
    rows.replaceChildren(...variablesOf(bot?.config ?? null).map((name) => row(name)));
  };
  pick.onchange = offer;
  offer();
  const more = make("button", { type: "button", testid: "add-variable" }, "Add a value");
  more.onclick = () => {
    const added = row("");
    rows.append(added);
    added.querySelector("input")?.focus();
  };
  const form = make(
    "form",
    { className: "card", testid: "order" },
    make("h2", {}, "Call a bot"),
    make("label", { htmlFor: "bot" }, "Bot"),
    pick,
    make("h3", {}, "What it is to know"),
    rows,
    more,
    make(
      "div",
      { className: "actions" },
      make(
        "button",
        { type: "submit", className: "primary", value: "voice", testid: "call" },
        "Call",
      ),
      make("button", { type: "submit", value: "text", testid: "chat" }, "Chat"),
    ),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    const textOnly =
      event.submitter instanceof HTMLButtonElement && event.submitter.value === "text";
    place({ botId: pick.value, variables: filledIn(rows), textOnly });
  };
  if (bots.length === 0) {
    form.replaceChildren(make("p", {}, "This key may call no bot. Make one first."));
  }
  return form;
}

/** A row for a value: of the given name, or of one that is yet to be typed. */
function row(name: string): HTMLElement {
  if (name !== "") {
    return make("label", { className: "named" }, name, make("input", { name }));
  }
  const key = make("input", { placeholder: "name", ariaLabel: "Name" });
  const value = make("input", { placeholder: "value", ariaLabel: "Value" });
  key.oninput = () => {
    value.name = key.value.trim();
  };
  return make("div", { className: "row" }, key, value);
}

function filledIn(rows: HTMLElement): JsonObject {
  const named = [...rows.querySelectorAll("input")].filter(({ name }) => name !== "");
  return Object.fromEntries(
    named.filter(({ value }) => value !== "").map(({ name, value }) => [name, value]),
  );
}
