/** The visitor's microphone: asked for, muted, and how loud it is. */

import { createAudioAnalyser, createLocalAudioTrack, type LocalAudioTrack } from "livekit-client";

export interface Input {
  readonly track: LocalAudioTrack;
  /** How loud it is just now, 0 to 1. */
  level(): number;
  setMuted(muted: boolean): Promise<void>;
  stop(): void;
}

/** The visitor did not give a microphone, or there is none. */
export class NoMicrophone extends Error {
  override readonly name = "NoMicrophone";

  constructor(readonly state: "refused" | "missing") {
    super(`microphone ${state}`);
  }
}

/** Open the microphone, asking the visitor if need be.
 *
 * @throws {NoMicrophone} there is none to be had.
 */
export async function openMicrophone(): Promise<Input> {
  let track: LocalAudioTrack;
  try {
    track = await createLocalAudioTrack({
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
    });
  } catch (error) {
    // Pages that are not served securely have no `mediaDevices` at all, which is a TypeError.
    const refused = error instanceof DOMException && error.name === "NotAllowedError";
    throw new NoMicrophone(refused ? "refused" : "missing");
  }
  const analyser = createAudioAnalyser(track, { cloneTrack: false, smoothingTimeConstant: 0.5 });
  let muted = false;
  return {
    track,
    level: () => (muted ? 0 : analyser.calculateVolume()),
    async setMuted(wanted) {
      muted = wanted;
      await (wanted ? track.mute() : track.unmute());
    },
    stop() {
      void analyser.cleanup();
      track.stop();
    },
  };
}

/** Whether the browser will hand the microphone out without asking. */
export async function microphoneIsGranted(): Promise<boolean> {
  try {
    const permission = await navigator.permissions.query({ name: "microphone" as PermissionName });
    return permission.state === "granted";
  } catch {
    return false;
  }
}
