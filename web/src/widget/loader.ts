/** The one script that a page includes: a button. Everything else comes with the first click. */

import type { JsonObject } from "../core/json.ts";
import type { Words } from "../core/words.ts";
import type { Panel, PanelModule, Settings } from "./element.ts";
import css from "./launcher.css?inline";

const TAG = "voicefleet-widget";

const script =
  document.currentScript instanceof HTMLScriptElement
    ? document.currentScript
    : document.querySelector<HTMLScriptElement>('script[src*="/widget.js"]');
const home = new URL(".", script?.src ?? location.href).href;

class VoicefleetWidget extends HTMLElement {
  /** Texts that replace ours. */
  words: Partial<Words> = {};
  /** What the bot is told, beside the attribute. */
  metadata: JsonObject = {};
  readonly #launcher = document.createElement("button");
  #panel: Promise<Panel> | null = null;

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    this.#launcher.type = "button";
    this.#launcher.className = "launcher";
    this.#launcher.dataset.testid = "vf-launcher";
    this.#launcher.ariaExpanded = "false";
    this.#launcher.ariaHasPopup = "dialog";
    this.#launcher.onclick = () => void this.#toggle();
    root.append(this.#launcher);
  }

  connectedCallback(): void {
    this.#launcher.textContent =
      this.getAttribute("label") ?? this.#allWords().launcher ?? "Talk to us";
  }

  disconnectedCallback(): void {
    void this.end();
  }

  async start(textOnly?: boolean): Promise<void> {
    const panel = await this.#load();
    panel.show(true);
    await panel.start(textOnly);
  }

  async end(): Promise<void> {
    await (await this.#panel)?.end();
  }

  async mute(muted?: boolean): Promise<void> {
    await (await this.#panel)?.mute(muted);
  }

  async send(text: string): Promise<void> {
    await (await this.#panel)?.send(text);
  }

  async #toggle(): Promise<void> {
    const open = this.#launcher.ariaExpanded === "true";
    (await this.#load()).show(!open);
  }

  #load(): Promise<Panel> {
    if (this.#panel === null) {
      this.#launcher.ariaBusy = "true";
      this.#panel = (import(/* @vite-ignore */ home + PANEL) as Promise<PanelModule>)
        .then((module) => module.mount(this, this.#launcher, this.#settings()))
        .finally(() => {
          this.#launcher.ariaBusy = "false";
        });
      this.#panel.catch(() => {
        // The next click tries again.
        this.#panel = null;
        this.#launcher.textContent =
          this.#allWords().loadFailed ?? "This could not be loaded. Please reload the page.";
      });
    }
    return this.#panel;
  }

  #settings(): Settings {
    return {
      server: this.getAttribute("server") ?? home,
      botId: this.getAttribute("bot-id") ?? "",
      apiKey: this.getAttribute("api-key") ?? "",
      textOnly: this.hasAttribute("text-only"),
      metadata: { ...this.#json("metadata"), ...this.metadata },
      words: this.#allWords(),
    };
  }

  #allWords(): Partial<Words> {
    return { ...this.#json("words"), ...this.words };
  }

  #json(attribute: string): object {
    try {
      return JSON.parse(this.getAttribute(attribute) ?? "{}");
    } catch {
      // biome-ignore lint/suspicious/noConsole: for whoever builds the page
      console.warn(`${TAG}: ${attribute} is not JSON`);
      return {};
    }
  }
}

if (!customElements.get(TAG)) {
  customElements.define(TAG, VoicefleetWidget);
  if (script?.dataset.botId) {
    const element = document.createElement(TAG);
    for (const { name, value } of script.attributes) {
      if (name.startsWith("data-")) element.setAttribute(name.slice(5), value);
    }
    const add = () => document.body.append(element);
    if (document.body) add();
    else addEventListener("DOMContentLoaded", add);
  }
}
