// Builds the page that tests/viewer/test_spark.py draws in, at the path that is given.
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const { outputFiles } = await build({
  entryPoints: [join(here, "oracle.ts")], bundle: true, minify: true, format: "iife", target: "es2022", write: false,
  logLevel: "error",
});
const script = outputFiles[0].text.replaceAll("</script", "<\\/script");
await writeFile(process.argv[2], `<!doctype html><meta charset="utf-8"><title>Spark</title><script>${script}</script>`);
