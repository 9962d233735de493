// Bundles the extension, or with --tests its tests, into out/; with the licences of what is bundled.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const tests = process.argv.includes("--tests");
const folder = tests ? "test" : "src";
const wanted = tests ? /\.test\.ts$/ : /^extension\.ts$/;
const made = await build({
  entryPoints: readdirSync(folder).flatMap((name) => (wanted.test(name) ? [`${folder}/${name}`] : [])),
  outdir: tests ? "out/test" : "out",
  bundle: true,
  platform: "node",
  target: "node20",
  external: ["vscode"],
  minify: process.argv.includes("--minify"),
  metafile: true,
});

if (!tests) {
  const bundled = Object.keys(made.metafile.inputs).flatMap(
    (path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
  );
  const licences = [...new Set(bundled)].sort().map((name) => {
    const file = readdirSync(`node_modules/${name}`).find((each) => /^licen[cs]e/i.test(each));
    return `${name}\n\n${readFileSync(`node_modules/${name}/${file}`, "utf8").trim()}\n`;
  });
  const own = readFileSync("../../LICENSE", "utf8");
  writeFileSync(
    "LICENSE",
    [own, "Programs of others that are bundled with this one\n", ...licences].join(`\n${"-".repeat(72)}\n\n`),
  );
}
