// Where the avatar's bytes come from: inside the page (an exported page), or beside it (a server).
import { decode, type Compact, type Encoded } from "./compact/decode";
import { PlayerError } from "./errors";

const EMBEDDED = "splatalk-avatar";
const BESIDE = "avatar.compact";

export async function loadAvatar(): Promise<Compact> {
  const embedded = document.getElementById(EMBEDDED);
  const bytes = embedded ? fromBase64(embedded.textContent) : await fetched(BESIDE);
  embedded?.remove(); // megabytes of text nobody needs any more
  return decode(bytes);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  let binary: string;
  try {
    binary = atob(text.trim());
  } catch {
    throw new PlayerError("The avatar inside this page is damaged.", "Download or export the page again.");
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

async function fetched(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const hint = "Check that the server is running and reload the page.";
  let response: Response;
  try {
    response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
  } catch {
    throw new PlayerError("The avatar could not be loaded.", hint);
  }
  throw new PlayerError(`The avatar could not be loaded (${response.status}).`, hint);
}

/** The background picture, or null when there is none or the browser cannot read it. */
export async function loadPlate(plate: Encoded | null): Promise<ImageBitmap | null> {
  if (!plate) return null;
  try {
    return await createImageBitmap(new Blob([plate.data], { type: plate.mime }), { colorSpaceConversion: "none" });
  } catch {
    return null;
  }
}

/** @throws PlayerError the browser cannot decode this kind of sound. */
export async function loadSound(sound: Encoded | null): Promise<AudioBuffer | null> {
  if (!sound) return null;
  try {
    // An offline context decodes without asking for the loudspeaker, which has to wait for a click.
    return await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(sound.data.slice().buffer);
  } catch {
    throw new PlayerError(`This browser cannot play the sound (${sound.mime}).`, "The picture plays without it.");
  }
}
