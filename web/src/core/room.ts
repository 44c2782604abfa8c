/** The thin edge over LiveKit: a room's events as events of the call, and what a caller can do. */

import {
  DefaultReconnectPolicy,
  type LocalAudioTrack,
  LogLevel,
  ParticipantKind,
  type RemoteParticipant,
  Room,
  RoomEvent,
  setLogLevel,
  type TextStreamReader,
  Track,
} from "livekit-client";
import { activityOf, endingOf } from "./agent.ts";
import type { CallEvent } from "./call.ts";
import type { Unsent } from "./captions.ts";
import type { Ticket } from "./ticket.ts";

/** How long to wait before each attempt to get the network back: as long as the bot waits. */
const RECONNECT_DELAYS_MS = [0, 300, 1_200, 2_700, 4_800, 6_000];
/** How long a room may lack a bot: another one may be on its way to take over. */
const ALONE_MS = 20_000;

// The console is the page's, not ours.
setLogLevel(LogLevel.warn);

/** A call's line, as long as it is up. */
export interface Line {
  /** Send a typed message; the text's stream names it. */
  send(text: string): Promise<string>;
  /** Tell the bot that a message is being written. */
  typing(): Promise<void>;
  /** Play the bot; works within a click. */
  unblockSound(): Promise<void>;
  leave(): Promise<void>;
}

/** Join the room and tell what happens there. */
export async function joinRoom(
  ticket: Ticket,
  microphone: LocalAudioTrack | null,
  tell: (event: CallEvent) => void,
): Promise<Line> {
  const room = new Room({ reconnectPolicy: new DefaultReconnectPolicy(RECONNECT_DELAYS_MS) });
  listen(room, tell);
  try {
    await room.connect(ticket.serverUrl, ticket.token);
    void beSeen(room);
    if (microphone) await room.localParticipant.publishTrack(microphone);
  } catch (error) {
    await room.disconnect();
    throw error;
  }
  return {
    async send(text) {
      return (await room.localParticipant.sendText(text, { topic: "lk.chat" })).id;
    },
    typing: () => room.localParticipant.publishData(new Uint8Array(), { topic: "vf.typing" }),
    unblockSound: () => room.startAudio(),
    leave: () => room.disconnect(),
  };
}

/** Publish something: LiveKit tells others of who publishes nothing only every three seconds. */
async function beSeen(room: Room): Promise<void> {
  try {
    await room.localParticipant.publishDataTrack({ name: "vf.presence" });
  } catch {
    // Then the bot begins a little later.
  }
}

function listen(room: Room, tell: (event: CallEvent) => void): void {
  let giveUp: ReturnType<typeof setTimeout> | undefined;
  const lookForBot = () => {
    clearTimeout(giveUp);
    const bot = [...room.remoteParticipants.values()].find(isBot);
    if (bot) return tellOfBot(bot, tell);
    giveUp = setTimeout(() => {
      tell({ type: "ended", reason: "failed" });
      void room.disconnect();
    }, ALONE_MS);
  };
  const reconnecting = () => tell({ type: "reconnecting" });
  room
    .on(RoomEvent.Connected, () => {
      tell({ type: "connected" });
      lookForBot();
    })
    .on(RoomEvent.SignalReconnecting, reconnecting)
    .on(RoomEvent.Reconnecting, reconnecting)
    .on(RoomEvent.Reconnected, () => {
      tell({ type: "reconnected" });
      lookForBot();
    })
    .on(RoomEvent.ParticipantConnected, lookForBot)
    .on(RoomEvent.ParticipantDisconnected, lookForBot)
    .on(RoomEvent.ParticipantAttributesChanged, (_, participant) => {
      if (isBot(participant)) tellOfBot(participant, tell);
    })
    .on(RoomEvent.TrackSubscribed, (track) => {
      if (track.kind === Track.Kind.Audio) track.attach();
    })
    .on(RoomEvent.TrackUnsubscribed, (track) => {
      track.detach();
    })
    .on(RoomEvent.AudioPlaybackStatusChanged, () => {
      tell({ type: "sound", blocked: !room.canPlaybackAudio });
    })
    .on(RoomEvent.Disconnected, () => {
      clearTimeout(giveUp);
      tell({ type: "ended", reason: "offline" });
    });
  room.registerTextStreamHandler("lk.transcription", (reader, { identity }) => {
    const own = identity === room.localParticipant.identity;
    const sender = room.remoteParticipants.get(identity);
    if (own || (sender && isBot(sender))) {
      void readCaption(reader, own ? "customer" : "bot", tell);
    }
  });
  room.registerTextStreamHandler("vf.chat_refused", async (reader) => {
    const id = reader.info.attributes?.["vf.stream_id"] ?? "";
    tell({ type: "unsent", id, why: (await reader.readAll()) as Unsent });
  });
}

function isBot(participant: { readonly kind: ParticipantKind }): boolean {
  return participant.kind === ParticipantKind.AGENT;
}

function tellOfBot(
  { attributes }: Pick<RemoteParticipant, "attributes">,
  tell: (event: CallEvent) => void,
): void {
  const activity = activityOf(attributes);
  if (activity) tell({ type: "activity", activity });
  const reason = endingOf(attributes);
  if (reason) tell({ type: "told", reason });
}

/** Tell of a line as it grows, and of its last wording once its stream ends. */
export async function readCaption(
  reader: Pick<TextStreamReader, "info"> & AsyncIterable<string>,
  speaker: "bot" | "customer",
  tell: (event: CallEvent) => void,
): Promise<void> {
  const id = reader.info.attributes?.["lk.segment_id"] ?? reader.info.id;
  let text = "";
  const say = (final: boolean) => tell({ type: "caption", caption: { id, speaker, text, final } });
  try {
    for await (const piece of reader) {
      text += piece;
      say(false);
    }
  } catch {
    // Whoever spoke is gone: what was heard stands.
    return say(true);
  }
  say(reader.info.attributes?.["lk.transcription_final"] === "true");
}
