// A small map of directions: the box is what the recording covered, the dot is where one looks from.
import { softLimits } from "../stage_camera";
import type { AvatarPlayer } from "../player";
import { h, svg } from "./dom";

const YAW = 60, PITCH = 40; // degrees at the edges

export function dial(player: AvatarPlayer): HTMLElement {
  const { yaw, pitch } = softLimits(player.compact.range);
  const covered = svg("rect", {
    x: yaw[0], y: -pitch[1], width: yaw[1] - yaw[0], height: pitch[1] - pitch[0], rx: 3, class: "covered",
  });
  const dot = svg("circle", { r: 4, class: "dot" });
  const map = svg("svg", { viewBox: `${-YAW - 6} ${-PITCH - 6} ${2 * YAW + 12} ${2 * PITCH + 12}`, "aria-hidden": "true" },
    svg("path", { d: `M${-YAW} 0H${YAW}M0 ${-PITCH}V${PITCH}`, class: "axes" }), covered, dot);
  const button = h("button", { type: "button", class: "dial", onclick: () => player.control.reset() }, map);
  const update = (): void => {
    const { orbit, free } = player.control;
    dot.setAttribute("cx", String(Math.max(-YAW, Math.min(YAW, orbit.yaw))));
    dot.setAttribute("cy", String(-Math.max(-PITCH, Math.min(PITCH, orbit.pitch))));
    const outside = orbit.yaw < yaw[0] - 1 || orbit.yaw > yaw[1] + 1 || orbit.pitch < pitch[0] - 1 || orbit.pitch > pitch[1] + 1;
    button.classList.toggle("outside", outside);
    button.classList.toggle("free", free);
    const label = `${describe(orbit.yaw, orbit.pitch)}${outside ? ", beyond what was recorded" : ""}. Press to look from the front.`;
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  player.on("view", update);
  update();
  return button;
}

/** "Seen from the front", "Seen 12° from the person's left, 3° from above". */
function describe(yaw: number, pitch: number): string {
  const parts: string[] = [];
  if (Math.abs(yaw) >= 0.5) parts.push(`${Math.abs(yaw).toFixed(0)}° from the person's ${yaw > 0 ? "left" : "right"}`);
  if (Math.abs(pitch) >= 0.5) parts.push(`${Math.abs(pitch).toFixed(0)}° from ${pitch > 0 ? "above" : "below"}`);
  return `Seen ${parts.join(", ") || "from the front"}`;
}
