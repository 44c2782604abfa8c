/** Who said what so far: captions grow while somebody speaks, and are replaced when understood. */

export type Speaker = "bot" | "customer";

export interface Caption {
  /** Names the line: a later caption of the same id replaces it. */
  readonly id: string;
  readonly speaker: Speaker;
  readonly text: string;
  /** Whether the words will not change any more. */
  readonly final: boolean;
  /** A typed line that the bot did not get, and why. */
  readonly unsent?: Unsent;
}

export type Unsent = "too_long" | "too_many" | "offline";

/** Return the captions with one more, or another wording of one; a line of nothing is taken out. */
export function withCaption(captions: readonly Caption[], next: Caption): readonly Caption[] {
  const index = captions.findIndex(({ id }) => id === next.id);
  const known = captions[index];
  // Streams overlap: what is final is not made uncertain again by a piece that comes late.
  if (known?.final && !next.final) return captions;
  if (next.text.trim() === "") return known ? captions.toSpliced(index, 1) : captions;
  return known ? captions.with(index, next) : [...captions, next];
}

/** Return the captions with one typed line marked as not taken; an unknown line is no line. */
export function withUnsent(
  captions: readonly Caption[],
  id: string,
  unsent: Unsent,
): readonly Caption[] {
  return captions.map((caption) => (caption.id === id ? { ...caption, unsent } : caption));
}
