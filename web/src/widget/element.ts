/** What loader and panel know of each other. */

import type { JsonObject } from "../core/json.ts";
import type { Words } from "../core/words.ts";

export interface Settings {
  readonly server: string;
  readonly botId: string;
  readonly apiKey: string;
  readonly textOnly: boolean;
  /** What the bot is told. */
  readonly metadata: JsonObject;
  readonly words: Partial<Words>;
}

/** The part of the widget that comes with the first click. */
export interface Panel {
  show(shown: boolean): void;
  start(textOnly?: boolean): Promise<void>;
  end(): Promise<void>;
  mute(muted?: boolean): Promise<void>;
  send(text: string): Promise<void>;
}

export interface PanelModule {
  mount(host: HTMLElement, launcher: HTMLButtonElement, settings: Settings): Panel;
}
