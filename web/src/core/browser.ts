/** The world of a session that runs in a browser. */

import type { CallEvent } from "./call.ts";
import { type Input, microphoneIsGranted, openMicrophone } from "./microphone.ts";
import { joinRoom } from "./room.ts";
import type { World } from "./session.ts";
import type { Ticket } from "./ticket.ts";

/** Return the browser's microphone, LiveKit's rooms, and tickets of the given kind. */
export function browserWorld(ticket: World["ticket"]): World {
  return {
    ticket,
    microphoneIsGranted,
    openMicrophone,
    join: (ticket: Ticket, input: Input | null, tell: (event: CallEvent) => void) =>
      joinRoom(ticket, input?.track ?? null, tell),
    now: () => performance.now(),
  };
}
