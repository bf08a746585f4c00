// Builds the page around an avatar.
import { PlayerError } from "./errors";
import { mountLive } from "./live";
import { mountTraining } from "./live/training";
import { loadAvatar, loadPlate, loadSound } from "./load";
import { AvatarPlayer } from "./player";
import { captureView } from "./stage_camera";
import { FilmRecorder, pictureButton } from "./ui/capture";
import { dial } from "./ui/dial";
import { h, iconButton } from "./ui/dom";
import { Notice } from "./ui/notice";
import { aboutSection, Drawer, Statistics, viewSection } from "./ui/panel";
import { Playbar } from "./ui/playbar";

declare global {
  interface Window {
    /** The player of this page, for scripts of people who embed it (and for its tests). */
    splatalk?: { player: AvatarPlayer; captureView: typeof captureView };
  }
}

async function main(): Promise<void> {
  const stage = document.querySelector<HTMLElement>(".stage")!;
  const canvas = stage.querySelector("canvas")!;
  const notice = new Notice();
  stage.append(notice.element);
  notice.show("Loading the avatar …");
  try {
    await build(stage, canvas, notice);
  } catch (error) {
    notice.fail(error);
  }
}

async function build(stage: HTMLElement, canvas: HTMLCanvasElement, notice: Notice): Promise<void> {
  const compact = await loadAvatar();
  const plate = await loadPlate(compact.plate);
  const statistics = new Statistics();
  const panelButton = iconButton("panel", "Settings and information (i)", () => drawer.toggle(), "toggle");
  const drawer = new Drawer((open) => {
    panelButton.setAttribute("aria-expanded", String(open));
    document.body.classList.toggle("with-drawer", open);
    if (!open) panelButton.focus({ preventScroll: true });
  });
  panelButton.setAttribute("aria-expanded", "false");
  const player = new AvatarPlayer({
    stage, canvas, panel: drawer.content,
    notice: (text, hint) => notice.show(text, hint),
    stats: (key, value) => statistics.set(key, value),
  }, compact, plate);
  const sound = await loadSound(compact.sound).catch((error: unknown) => {
    window.setTimeout(() => notice.fail(error));
    return null;
  });
  const live = document.documentElement.dataset.live === "1";
  const playbar = new Playbar(player, sound !== null || live);
  document.querySelector("main")!.append(
    h("footer", { class: "bar" }, playbar.element, h("div", { class: "tools", role: "group", "aria-label": "Tools" },
      pictureButton(player), new FilmRecorder(player, canvas).button, fullScreenButton(), panelButton)),
    drawer.element,
  );
  stage.append(dial(player), h("p", { class: "label" }, "Computer-generated"));
  if (compact.track) player.setTrack(compact.track, sound);
  notice.show("");
  if (live) mountLive(player);
  drawer.content.append(viewSection(player), statistics.section, aboutSection(compact.provenance));
  if (live && window.innerWidth >= 900) drawer.toggle(true);
  shortcuts(playbar, drawer);
  window.splatalk = { player, captureView };
}

function fullScreenButton(): HTMLButtonElement {
  const button = iconButton("full", "Full screen (f)", () => void toggleFullScreen());
  button.hidden = !document.fullscreenEnabled;
  return button;
}

async function toggleFullScreen(): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen();
}

/** Keys of the whole page; those of the stage are in OrbitControl. */
function shortcuts(playbar: Playbar, drawer: Drawer): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || target.isContentEditable) return;
    if (/^(textarea|select)$/i.test(target.tagName)) return;
    if (target instanceof HTMLInputElement && target.type !== "range" && target.type !== "checkbox") return;
    if (event.key === " " && target instanceof HTMLButtonElement) return; // it presses the button
    const actions: Record<string, () => void> = {
      " ": () => playbar.toggle(),
      k: () => playbar.toggle(),
      m: () => playbar.toggleSound(),
      f: () => void toggleFullScreen(),
      i: () => drawer.toggle(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

if (!("DecompressionStream" in window)) {
  const old = new PlayerError("This browser is too old for the player.", "Use a current Firefox, Chrome, Edge or Safari.");
  document.querySelector(".stage")!.append(h("div", { class: "notice", role: "alert" }, `${old.message} ${old.hint}`));
} else if (document.documentElement.dataset.training === "1") {
  mountTraining(document.querySelector("main")!);
} else {
  void main();
}
