// Builds player.js, player.css and index.html into the Python package, or into the folder that is given.
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "../splatalk/export/player_files"));
await mkdir(out, { recursive: true });
await build({
  entryPoints: { player: join(here, "src/main.ts") },
  outfile: join(out, "player.js"),
  bundle: true, minify: true, format: "iife", target: "es2022", charset: "utf8", legalComments: "none",
});
await build({ entryPoints: [join(here, "src/player.css")], outfile: join(out, "player.css"), bundle: true, minify: true, charset: "utf8" });
await copyFile(join(here, "src/index.html"), join(out, "index.html"));
console.log(`Built the player in ${out}`);
