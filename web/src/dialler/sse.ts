/** Server-sent events out of a stream's text: `EventSource` itself cannot show an API key. */

export interface Message {
  readonly id: string;
  readonly data: string;
}

/** Cuts text that comes in any pieces into messages; a comment is no message. */
export class SseReader {
  #rest = "";

  /** Return the messages that are whole with this piece. */
  read(piece: string): readonly Message[] {
    const blocks = (this.#rest + piece).replaceAll("\r\n", "\n").split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(messageOf).filter(({ data }) => data !== "");
  }
}

function messageOf(block: string): Message {
  const fields = block.split("\n").map((line) => line.split(/: ?(.*)/s, 2));
  const values = (name: string) =>
    fields.filter(([field]) => field === name).map(([, value = ""]) => value);
  return { id: values("id").at(-1) ?? "", data: values("data").join("\n") };
}
