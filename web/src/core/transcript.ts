/** The captions as a list that grows, and what a screen reader says of them. */

import type { Caption } from "./captions.ts";
import { make, setText } from "./dom.ts";
import { unsentText, type Words } from "./words.ts";

export class Transcript {
  readonly list: HTMLOListElement;
  /** Reads out what is final: a line that grows word by word would be read again and again. */
  readonly announcer = make("div", { className: "unseen", role: "log", ariaLive: "polite" });
  readonly #items = new Map<string, HTMLLIElement>();
  readonly #announced = new Set<string>();

  constructor(private readonly words: Words) {
    this.list = make("ol", { className: "captions", testid: "vf-captions", tabIndex: 0 });
    this.list.ariaLabel = words.captions;
  }

  show(captions: readonly Caption[]): void {
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    const gone = new Set(this.#items.keys());
    for (const caption of captions) {
      gone.delete(caption.id);
      this.#fill(this.#item(caption), caption);
      this.#announce(caption);
    }
    for (const id of gone) {
      this.#items.get(id)?.remove();
      this.#items.delete(id);
      this.#announced.delete(id);
    }
    if (captions.length === 0) this.announcer.replaceChildren();
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  #item(caption: Caption): HTMLLIElement {
    const known = this.#items.get(caption.id);
    if (known) return known;
    const item = make(
      "li",
      {},
      make("span", { className: "who" }, this.words[caption.speaker]),
      make("span", { className: "said" }),
      make("span", { className: "unsent", hidden: true }),
    );
    this.#items.set(caption.id, item);
    this.list.append(item);
    return item;
  }

  #fill(item: HTMLLIElement, caption: Caption): void {
    item.className = `${caption.speaker} ${caption.final ? "final" : "interim"}`;
    const [, said, unsent] = item.children;
    if (said instanceof HTMLElement) setText(said, caption.text);
    if (unsent instanceof HTMLElement) {
      setText(unsent, caption.unsent ? unsentText(caption.unsent, this.words) : "");
    }
  }

  #announce(caption: Caption): void {
    if (!caption.final || this.#announced.has(caption.id)) return;
    this.#announced.add(caption.id);
    this.announcer.append(make("p", {}, `${this.words[caption.speaker]}: ${caption.text}`));
  }
}
