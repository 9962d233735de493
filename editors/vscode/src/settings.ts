// What settings come to: the program, its arguments, and what to say where it does not start. Nothing here needs VS Code.

import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";

/** The settings below `claimlint.` that this extension reads; the server reads `asOf`, `payer` and `severity`. */
export interface Settings {
  path: string;
  documents: string[];
  trust: string[];
  asOf: string;
  payer: string;
  severity: string;
}

/** A failed start, and the command or setting that mends it. */
export interface Advice {
  message: string;
  install?: string;
}

export const INSTALL = "pip install 'claimlint-rcm[server]'";
export const UPGRADE = "pip install --upgrade 'claimlint-rcm[server]'";

/** A path with `~` and `${workspaceFolder}` written out: one for each folder that is open, none where none is. */
export function expanded(path: string, folders: readonly string[], home = homedir()): string[] {
  const variable = "$" + "{workspaceFolder}";
  const told = path.trim().replace(/^~(?=$|[\\/])/, () => home);
  return told.includes(variable) ? folders.map((folder) => told.replaceAll(variable, () => folder)) : [told];
}

/** The program to start: a path as it is told, or a name as `PATH` has it; none where it is not there. */
export function program(
  path: string,
  folders: readonly string[],
  exists: (path: string) => boolean,
  env: NodeJS.ProcessEnv = process.env,
  windows = process.platform === "win32",
): string | undefined {
  const [told = ""] = expanded(path || "claimlint", folders);
  // A relative path is never taken: which folder it began in would be anybody's guess.
  const places = isAbsolute(told) ? [told] : /[\\/]/.test(told) ? [] : inPath(told, env);
  return places.flatMap((place) => (windows ? [`${place}.exe`, place] : [place])).find(exists);
}

function inPath(name: string, env: NodeJS.ProcessEnv): string[] {
  const told = env.PATH ?? env.Path ?? "";
  return told.split(delimiter).flatMap((folder) => (isAbsolute(folder) ? [join(folder, name)] : []));
}

/** The arguments of the server: whom it trusts, which is nobody while the workspace is not trusted. */
export function serverArguments(
  settings: Pick<Settings, "trust">,
  workspaceTrusted: boolean,
  folders: readonly string[],
  exists: (path: string) => boolean,
): string[] {
  const told = workspaceTrusted ? settings.trust.flatMap((path) => expanded(path, folders)) : [];
  // The server does not start with a folder that is not there.
  const there = told.filter((folder) => isAbsolute(folder) && exists(folder));
  return ["server", ...there.flatMap((folder) => ["--trust", folder])];
}

/** What the server is told when it starts; what is not set is left out. */
export function initializationOptions(settings: Settings): Record<string, string> {
  const { asOf, payer, severity } = settings;
  return Object.fromEntries(Object.entries({ asOf, payer, severity }).filter(([, value]) => value));
}

/** Which documents the server is shown. */
export function selector(documents: readonly string[]): { scheme: string; language: string }[] {
  return documents.flatMap((language) => ["file", "untitled"].map((scheme) => ({ scheme, language })));
}

/** The arguments of `claimlint check` for a task, as of the day and for the payer that the editor has. */
export function checkArguments(
  task: { paths: readonly string[]; args?: readonly string[] },
  settings: Pick<Settings, "asOf" | "payer">,
): string[] {
  const { asOf, payer } = settings;
  return [
    "check",
    "--output-format",
    "concise",
    ...(asOf ? ["--as-of", asOf] : []),
    ...(payer ? ["--payer", payer] : []),
    ...(task.args ?? []),
    "--",
    ...task.paths,
  ];
}

/** What to say where no program was found. */
export function notFound(path: string): Advice {
  const where = /[\\/]/.test(path) ? `There is no program ${path}` : `${path || "claimlint"} is not in PATH`;
  return {
    message: `${where}. Install it, or say where it is (claimlint.path).`,
    install: INSTALL,
  };
}

/** What to say where the server ended at once, by what it wrote. */
export function failed(said: string): Advice {
  if (/claimlint-rcm\[server\]/.test(said)) {
    return { message: "claimlint is installed without its language server.", install: INSTALL };
  }
  if (/No such command '?server/.test(said)) {
    return { message: "This claimlint is too old: it has no language server.", install: UPGRADE };
  }
  const line = said.trim().split("\n").at(-1) ?? "";
  return { message: `claimlint server does not start${line ? `: ${line}` : "."}` };
}
