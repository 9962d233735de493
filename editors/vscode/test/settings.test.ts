import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkArguments,
  expanded,
  failed,
  INSTALL,
  initializationOptions,
  notFound,
  program,
  selector,
  serverArguments,
  UPGRADE,
} from "../src/settings";

const VARIABLE = "$" + "{workspaceFolder}";
const there =
  (...paths: string[]) =>
  (path: string) =>
    paths.includes(path);

test("a name is looked up in PATH, and folders of it that are not absolute are not", () => {
  const env = { PATH: "bin:/usr/bin:/opt/bin" };
  assert.equal(
    program("claimlint", [], there("/opt/bin/claimlint", "bin/claimlint"), env, false),
    "/opt/bin/claimlint",
  );
  assert.equal(program("", [], there("/usr/bin/claimlint", "/opt/bin/claimlint"), env, false), "/usr/bin/claimlint");
  assert.equal(program("claimlint", [], there("bin/claimlint"), env, false), undefined);
  assert.equal(program("claimlint", [], there("/usr/bin/claimlint.exe"), env, true), "/usr/bin/claimlint.exe");
});

test("a path may begin with the folder that is open, and is not taken where it is relative", () => {
  const path = `${VARIABLE}/.venv/bin/claimlint`;
  assert.equal(
    program(path, ["/claims"], there("/claims/.venv/bin/claimlint"), {}, false),
    "/claims/.venv/bin/claimlint",
  );
  assert.equal(
    program(path, [], () => true, {}, false),
    undefined,
  );
  assert.equal(
    program("bin/claimlint", ["/claims"], () => true, { PATH: "/usr/bin" }, false),
    undefined,
  );
  assert.deepEqual(expanded("~/bin", [], "/home/me"), ["/home/me/bin"]);
  assert.deepEqual(expanded("/~/bin", [], "/home/me"), ["/~/bin"]);
});

test("folders are trusted only where the workspace is, the settings say so, and they are there", () => {
  const trust = ["/claims", "relative", "/gone", VARIABLE];
  const exists = there("/claims", "relative", "/a", "/b");
  assert.deepEqual(serverArguments({ trust }, true, ["/a", "/b"], exists), [
    "server",
    "--trust",
    "/claims",
    "--trust",
    "/a",
    "--trust",
    "/b",
  ]);
  assert.deepEqual(serverArguments({ trust }, false, ["/a", "/b"], exists), ["server"]);
  assert.deepEqual(serverArguments({ trust: [] }, true, ["/a"], exists), ["server"]);
});

test("the server is told what is set, and shown the documents that are chosen", () => {
  const settings = { path: "", documents: [], trust: [], asOf: "2026-02-02", payer: "", severity: "warning" };
  assert.deepEqual(initializationOptions(settings), { asOf: "2026-02-02", severity: "warning" });
  assert.deepEqual(selector(["x12"]), [
    { scheme: "file", language: "x12" },
    { scheme: "untitled", language: "x12" },
  ]);
  assert.deepEqual(selector([]), []);
});

test("a task checks as the editor does", () => {
  const task = { paths: ["-odd.837"], args: ["--select", "COD"] };
  const base = ["check", "--output-format", "concise"];
  assert.deepEqual(checkArguments(task, { asOf: "", payer: "" }), [...base, "--select", "COD", "--", "-odd.837"]);
  assert.deepEqual(checkArguments({ paths: ["."] }, { asOf: "2026-02-02", payer: "auto" }), [
    ...base,
    "--as-of",
    "2026-02-02",
    "--payer",
    "auto",
    "--",
    ".",
  ]);
});

test("a failed start says what to do", () => {
  assert.deepEqual(
    failed("Error: claimlint server needs pygls, which is not installed: pip install 'claimlint-rcm[server]'\n"),
    {
      message: "claimlint is installed without its language server.",
      install: INSTALL,
    },
  );
  assert.equal(failed("Usage: …\n\nError: No such command 'server'.\n").install, UPGRADE);
  assert.equal(
    failed("one\nError: something else\n").message,
    "claimlint server does not start: Error: something else",
  );
  assert.match(notFound("claimlint").message, /claimlint is not in PATH/);
  assert.match(notFound("/opt/claimlint").message, /There is no program \/opt\/claimlint/);
});
