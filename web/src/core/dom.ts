/** Making elements without markup, so that no text of others can become any. */

export type Child = Node | string;
type Properties<T> = { [K in keyof T]?: T[K] } & { testid?: string; role?: string };

/** Return a new element. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties<HTMLElementTagNameMap[K]> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  const { testid, ...rest } = properties;
  if (testid) element.dataset.testid = testid;
  Object.assign(element, rest);
  element.append(...children);
  return element;
}

/** Change a text only where it differs: a screen reader reads every change. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}
