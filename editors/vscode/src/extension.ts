// The extension: starts `claimlint server` for the documents that are chosen, and offers what it can do as commands.

import { execFile } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import * as vscode from "vscode";
import { LanguageClient, type LanguageClientOptions, State } from "vscode-languageclient/node";
import {
  type Advice,
  checkArguments,
  failed,
  initializationOptions,
  notFound,
  program,
  type Settings,
  selector,
  serverArguments,
} from "./settings";

const RESTARTING = ["claimlint.path", "claimlint.documents", "claimlint.trust"];
const PATIENCE = 30_000; // milliseconds that a first start may take

export function activate(context: vscode.ExtensionContext): void {
  const linter = new Linter();
  const command = vscode.commands.registerCommand;
  context.subscriptions.push(
    linter,
    command("claimlint.restart", () => linter.restart(true)),
    command("claimlint.output", () => linter.output.show()),
    command("claimlint.segmentLines", () => vscode.commands.executeCommand("editor.action.formatDocument")),
    vscode.tasks.registerTaskProvider("claimlint", {
      provideTasks: () => (vscode.workspace.workspaceFolders ?? []).flatMap(tasks),
      resolveTask: (task) => taskOf(task.definition, task.scope, task.name),
    }),
    vscode.workspace.onDidOpenTextDocument(() => linter.start()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => linter.restart()),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (RESTARTING.some((key) => change.affectsConfiguration(key))) linter.restart();
    }),
  );
  linter.start();
}

function settings(): Settings {
  return vscode.workspace.getConfiguration().get<Settings>("claimlint") as Settings;
}

function folders(): string[] {
  return (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
}

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;

/** The server and its client, and what the status says of them. One start or stop follows the other. */
class Linter implements vscode.Disposable {
  readonly output = vscode.window.createOutputChannel("claimlint", { log: true });
  private readonly status = vscode.languages.createLanguageStatusItem("claimlint", []);
  private client: LanguageClient | undefined;
  private tried = false;
  private turn = 0;
  private work: Promise<void> = Promise.resolve();

  constructor() {
    this.status.name = "claimlint";
  }

  /** Start the server, once there is a document for it. */
  start(asked = false): void {
    this.status.selector = selector(settings().documents);
    const wanted = () =>
      vscode.workspace.textDocuments.some((each) => vscode.languages.match(this.status.selector, each));
    if (this.tried || !(asked || wanted())) return;
    this.tried = true;
    const mine = ++this.turn;
    this.work = this.work
      .then(() => (mine === this.turn ? this.run() : undefined)) // another start is asked for already
      .catch((error) => this.fail({ message: String(error) }));
  }

  /** End the server, and start it with the settings that there are now. */
  restart(asked = false): void {
    this.work = this.work.then(() => this.stop()).catch((error) => this.output.error(String(error)));
    this.tried = false;
    this.turn += 1;
    this.start(asked);
  }

  dispose(): Promise<void> {
    return this.work
      .then(() => this.stop())
      .finally(() => {
        this.status.dispose();
        this.output.dispose();
      });
  }

  private async run(): Promise<void> {
    const told = settings();
    this.say("starts", vscode.LanguageStatusSeverity.Information, true);
    const command = program(told.path, folders(), isFile);
    if (!command) return this.fail(notFound(told.path));
    const args = serverArguments(told, vscode.workspace.isTrusted, folders(), existsSync);
    this.output.info([command, ...args].join(" "));
    const problem = await tried(command, args);
    if (problem) return this.fail(problem);

    const options: LanguageClientOptions = {
      documentSelector: selector(told.documents),
      initializationOptions: initializationOptions(told),
      synchronize: { configurationSection: "claimlint" },
      outputChannel: this.output,
      middleware: {
        executeCommand: async (name, given, next) => {
          const args = await withArguments(name, given);
          if (!args) return undefined;
          const made = await next(name, args);
          if (made === "") vscode.window.showWarningMessage(`There is no rule ${args[0]}.`);
          return made;
        },
        window: {
          // The one document that the server shows is the page of a rule.
          showDocument: async ({ uri }) => {
            await vscode.commands.executeCommand("markdown.showPreviewToSide", vscode.Uri.parse(uri));
            return { success: true };
          },
        },
      },
    };
    this.client = new LanguageClient("claimlint", "claimlint", { command, args }, options);
    // The client starts a server anew that ends by itself, a few times.
    const client = this.client;
    client.onDidChangeState(({ newState }) => {
      if (client === this.client) this.tell(newState, client.initializeResult?.serverInfo?.version);
    });
    await client.start();
  }

  private tell(state: State, version = ""): void {
    vscode.commands.executeCommand("setContext", "claimlint.runs", state === State.Running);
    if (state === State.Running) this.say(version, vscode.LanguageStatusSeverity.Information);
    if (state === State.Stopped) {
      this.say("does not run", vscode.LanguageStatusSeverity.Error);
      this.status.command = { command: "claimlint.restart", title: "Start again" };
    }
  }

  private async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    await vscode.commands.executeCommand("setContext", "claimlint.runs", false);
    await client?.dispose();
  }

  private say(text: string, severity: vscode.LanguageStatusSeverity, busy = false): void {
    Object.assign(this.status, { text: `claimlint ${text}`, severity, busy });
    this.status.command = { command: "claimlint.output", title: "Output" };
  }

  private fail(advice: Advice): void {
    this.output.error(advice.message);
    this.say("does not run", vscode.LanguageStatusSeverity.Error);
    this.status.command = { command: "claimlint.restart", title: "Try again" };
    const { install } = advice;
    const copy = `Copy: ${install}`;
    const offered = [...(install ? [copy] : []), "Try Again", "Settings"];
    // Not waited for: a message stands until it is answered.
    vscode.window.showErrorMessage(advice.message, ...offered).then((chosen) => {
      if (chosen === copy && install) vscode.env.clipboard.writeText(install);
      if (chosen === "Try Again") this.restart(true);
      if (chosen === "Settings") vscode.commands.executeCommand("workbench.action.openSettings", "claimlint.path");
    });
  }
}

/** Why the server does not start, if it does not: it ends at once by itself where its input is empty. */
function tried(command: string, args: string[]): Promise<Advice | undefined> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { timeout: PATIENCE }, (error, _, said) =>
      resolve(error ? failed(said || error.message) : undefined),
    );
    child.stdin?.on("error", () => undefined).end();
  });
}

/** The arguments of a command of the server; those that the palette does not give are of the editor. */
async function withArguments(name: string, given: unknown[]): Promise<unknown[] | undefined> {
  if (given.length > 0) return given;
  const editor = vscode.window.activeTextEditor;
  if (name !== "claimlint.rule") return editor && [editor.document.uri.toString()];
  const here = editor ? vscode.languages.getDiagnostics(editor.document.uri) : [];
  const code = here.find(
    (each) => each.source === "claimlint" && editor && each.range.contains(editor.selection.active),
  );
  const asked = await vscode.window.showInputBox({
    title: "Explain a rule",
    prompt: "A rule such as COD101",
    value: String(code?.code ?? ""),
  });
  return asked ? [asked.trim()] : undefined;
}

function tasks(folder: vscode.WorkspaceFolder): vscode.Task[] {
  const file = "$" + "{file}";
  return [
    taskOf({ type: "claimlint", paths: ["."] }, folder, "check the folder"),
    taskOf({ type: "claimlint", paths: [file] }, folder, "check the file that is open"),
  ].flatMap((task) => task ?? []);
}

function taskOf(
  definition: vscode.TaskDefinition,
  scope: vscode.Task["scope"] = vscode.TaskScope.Workspace,
  name = "check",
): vscode.Task | undefined {
  const { paths, args } = definition;
  if (!Array.isArray(paths)) return undefined;
  const told = settings();
  const command = program(told.path, folders(), isFile) ?? told.path;
  const run = new vscode.ProcessExecution(command, checkArguments({ paths, args }, told));
  return new vscode.Task(definition, scope, name, "claimlint", run, "$claimlint");
}
