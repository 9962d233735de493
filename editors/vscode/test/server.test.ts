// What the extension wants of the real server: told and asked as the extension does it, by the library that it uses.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import {
  ApplyWorkspaceEditRequest,
  CodeActionRequest,
  createProtocolConnection,
  type Diagnostic,
  DiagnosticSeverity,
  DidOpenTextDocumentNotification,
  ExecuteCommandRequest,
  ExitNotification,
  InitializedNotification,
  InitializeRequest,
  type InitializeResult,
  type ProtocolConnection,
  PublishDiagnosticsNotification,
  RegistrationRequest,
  ShowDocumentRequest,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
  type TextEdit,
  type WorkspaceEdit,
} from "vscode-languageserver-protocol/node";
import { checkArguments, failed, INSTALL, initializationOptions, program, serverArguments } from "../src/settings";

const SETTINGS = { path: "", documents: ["x12"], trust: [], asOf: "2026-02-02", payer: "", severity: "info" };
const SAMPLE = resolve("../../samples/flagged.837");
const MANIFEST = JSON.parse(readFileSync("package.json", "utf8"));
const command = program(process.env.CLAIMLINT ?? "claimlint", [], existsSync);
const skip = command ? false : "claimlint is not in PATH, and CLAIMLINT does not say where it is";

/** A promise, and what keeps it. */
function awaited<T>(): { promise: Promise<T>; keep: (value: T) => void } {
  let keep: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    keep = resolve;
  });
  return { promise, keep };
}

describe("claimlint server", { skip, timeout: 120_000 }, () => {
  let connection: ProtocolConnection;
  let told: InitializeResult;
  let applied = awaited<WorkspaceEdit>();
  let shown = awaited<string>();
  const found = new Map<string, ReturnType<typeof awaited<Diagnostic[]>>>();
  const uri = pathToFileURL(SAMPLE).href;

  const open = (uri: string, languageId: string, text: string): Promise<Diagnostic[]> => {
    const wanted = awaited<Diagnostic[]>();
    found.set(uri, wanted);
    connection.sendNotification(DidOpenTextDocumentNotification.type, {
      textDocument: { uri, languageId, version: 1, text },
    });
    return wanted.promise;
  };

  before(async () => {
    const server = spawn(command ?? "", serverArguments(SETTINGS, true, [], existsSync));
    connection = createProtocolConnection(
      new StreamMessageReader(server.stdout),
      new StreamMessageWriter(server.stdin),
    );
    connection.onNotification(PublishDiagnosticsNotification.type, (made) =>
      found.get(made.uri)?.keep(made.diagnostics),
    );
    connection.onRequest(RegistrationRequest.type, () => undefined);
    connection.onRequest(ApplyWorkspaceEditRequest.type, ({ edit }) => {
      applied.keep(edit);
      return { applied: true };
    });
    connection.onRequest(ShowDocumentRequest.type, ({ uri }) => {
      shown.keep(uri);
      return { success: true };
    });
    connection.listen();
    told = await connection.sendRequest(InitializeRequest.type, {
      processId: process.pid,
      rootUri: pathToFileURL(resolve("../../samples")).href,
      workspaceFolders: null,
      initializationOptions: initializationOptions(SETTINGS),
      capabilities: {
        general: { positionEncodings: ["utf-16"] },
        window: { showDocument: { support: true } },
        workspace: { applyEdit: true, workspaceEdit: { documentChanges: true, resourceOperations: ["create"] } },
      },
    });
    await connection.sendNotification(InitializedNotification.type, {});
  });

  after(async () => {
    await connection?.sendRequest(ShutdownRequest.type);
    await connection?.sendNotification(ExitNotification.type);
    connection?.dispose();
  });

  test("its version and every command of the extension that is its own are there", () => {
    assert.match(told.serverInfo?.version ?? "", /^\d+\.\d+/);
    const own = ["claimlint.segmentLines", "claimlint.restart", "claimlint.output"];
    const wanted = MANIFEST.contributes.commands.map((each: { command: string }) => each.command);
    const offered = told.capabilities.executeCommandProvider?.commands ?? [];
    assert.deepEqual(
      wanted.filter((each: string) => !own.includes(each) && !offered.includes(each)),
      [],
    );
  });

  test("diagnostics, a correction of one, and the correction of all", async () => {
    const made = await open(uri, "x12", readFileSync(SAMPLE, "utf8"));
    const one = made.find((each) => each.code === "COD120");
    assert.equal(one?.range.start.line, 52);
    const actions = await connection.sendRequest(CodeActionRequest.type, {
      textDocument: { uri },
      range: one.range,
      context: { diagnostics: [one] },
    });
    assert.ok(actions?.some((each) => each.title === "COD120: write G0283"));
    applied = awaited();
    await connection.sendRequest(ExecuteCommandRequest.type, { command: "claimlint.fixAll", arguments: [uri] });
    const edit = (await applied.promise).documentChanges?.[0];
    assert.ok(edit && "edits" in edit);
    assert.deepEqual(
      edit.edits.map((each) => (each as TextEdit).newText),
      ["G0283"],
    );
  });

  test("the page of a rule is shown as a markdown document, and of no rule nothing is", async () => {
    shown = awaited();
    const ask = (code: string) =>
      connection.sendRequest(ExecuteCommandRequest.type, { command: "claimlint.rule", arguments: [code] });
    const page: string = await ask("cod120");
    assert.match(page, /COD120/);
    const path = fileURLToPath(await shown.promise);
    assert.match(path, /COD120\.md$/);
    assert.equal(readFileSync(path, "utf8").trim(), page.trim());
    assert.equal(await ask("COD999"), "");
  });

  test("of a CSV that is not of claims there is a note and no more", async () => {
    const made = await open("untitled:stock.csv", "csv", "item,price\nchair,12\n");
    assert.deepEqual(
      made.map((each) => each.severity),
      [DiagnosticSeverity.Information],
    );
  });

  test("the problem matcher reads every finding of the command", () => {
    const run = (args: string[]) =>
      spawnSync(command ?? "", args, { cwd: resolve("../../samples"), encoding: "utf8" }).stdout;
    const concise = checkArguments({ paths: ["flagged.837"] }, SETTINGS);
    const pattern = new RegExp(MANIFEST.contributes.problemMatchers[0].pattern[0].regexp);
    const read = run(concise)
      .split("\n")
      .flatMap((line) => pattern.exec(line)?.slice(1, 6).join(" ") ?? []);
    assert.ok(read.includes("flagged.837 53 8 COD120 error"));
    const json = JSON.parse(run(concise.map((each) => (each === "concise" ? "json" : each))));
    assert.equal(read.length, json.findings.length);
  });

  test("without pygls it says what to install", () => {
    const python = execFileSync("head", ["-1", command ?? ""], { encoding: "utf8" })
      .slice(2)
      .trim();
    const script = "import sys; sys.modules['pygls'] = None; from claimlint.__main__ import main; sys.exit(main())";
    const ran = spawnSync(python, ["-c", script, "server"], { encoding: "utf8", input: "" });
    assert.equal(failed(ran.stderr).install, INSTALL);
  });
});
