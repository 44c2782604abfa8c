/** Builds `dist`: the panel and the dialler as modules, the loader as one plain script. */

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const ROOT = import.meta.dirname;
const DIST = join(ROOT, "dist");
/** What a page pays for the button, and what its first click may fetch. */
const MOST_BYTES = { loader: 5_000, afterClickGzip: 200_000 };
const ALIKE = { root: ROOT, configFile: false, publicDir: false, logLevel: "warn" };

/** @returns {Promise<string[]>} the panel's own module, then all that it imports */
async function buildPages() {
  const { output } = await build({
    ...ALIKE,
    base: "./",
    build: {
      outDir: DIST,
      emptyOutDir: true,
      target: "es2022",
      assetsDir: "widget",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: {
        input: { panel: join(ROOT, "src/widget/panel.ts"), dialler: join(ROOT, "dialler.html") },
        preserveEntrySignatures: "allow-extension",
        output: {
          entryFileNames: "widget/[name]-[hash].js",
          chunkFileNames: "widget/[name]-[hash].js",
        },
      },
    },
  });
  const chunks = new Map(
    output.filter((each) => each.type === "chunk").map((each) => [each.fileName, each]),
  );
  const entry = [...chunks.values()].find((chunk) => chunk.isEntry && chunk.name === "panel");
  const needed = [entry.fileName];
  for (const name of needed) {
    needed.push(...chunks.get(name).imports.filter((each) => !needed.includes(each)));
  }
  return needed;
}

/** A classic script, so that one tag is enough everywhere: it finds the panel beside itself. */
async function buildLoader(panel) {
  await build({
    ...ALIKE,
    define: { PANEL: JSON.stringify(panel) },
    build: {
      outDir: DIST,
      emptyOutDir: false,
      target: "es2022",
      lib: {
        entry: join(ROOT, "src/widget/loader.ts"),
        formats: ["iife"],
        name: "voicefleet",
        fileName: () => "widget.js",
      },
    },
  });
}

function hold(what, bytes, most) {
  process.stdout.write(`${what}: ${bytes} bytes of ${most}\n`);
  if (bytes > most) throw new Error(`${what} is too large: ${bytes} bytes of ${most}`);
}

const panel = await buildPages();
await buildLoader(panel[0]);
const loader = readFileSync(join(DIST, "widget.js"));
hold("before the first click", loader.length, MOST_BYTES.loader);
process.stdout.write(`the same, compressed: ${gzipSync(loader, { level: 9 }).length} bytes\n`);
const fetched = panel.map((name) => gzipSync(readFileSync(join(DIST, name)), { level: 9 }).length);
hold(
  "after it, compressed",
  fetched.reduce((sum, size) => sum + size),
  MOST_BYTES.afterClickGzip,
);

// Compressed here once, so that no request has to.
for (const name of readdirSync(join(DIST, "widget"))) {
  const path = join(DIST, "widget", name);
  if (statSync(path).size > 1_000)
    writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
}
