// What the grammar makes of 837P files, by the tokenizer that VS Code uses.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createOnigScanner, createOnigString, loadWASM } from "vscode-oniguruma";
import { INITIAL, parseRawGrammar, Registry } from "vscode-textmate";

const GRAMMAR = "syntaxes/x12.tmLanguage.json";
const SAMPLES = ["flagged.837", "clean.837"].map((name) => readFileSync(`../../samples/${name}`, "utf8"));

const registry = new Registry({
  onigLib: loadWASM(readFileSync("node_modules/vscode-oniguruma/release/onig.wasm").buffer as ArrayBuffer).then(() => ({
    createOnigScanner,
    createOnigString,
  })),
  loadGrammar: async () => parseRawGrammar(readFileSync(GRAMMAR, "utf8"), GRAMMAR),
});

/** Each token that is not plain, and the last part of its scopes without `.x12`. */
async function tokens(text: string): Promise<[string, string][]> {
  const grammar = await registry.loadGrammar("source.x12");
  assert.ok(grammar);
  const found: [string, string][] = [];
  let stack = INITIAL;
  for (const line of text.split("\n")) {
    const made = grammar.tokenizeLine(line, stack);
    stack = made.ruleStack;
    for (const { startIndex, endIndex, scopes } of made.tokens) {
      const scope = scopes.at(-1) ?? "";
      const token = line.slice(startIndex, endIndex);
      if (!/^(source|meta)\./.test(scope) && token) found.push([token, scope.replace(/\.x12$/, "")]);
    }
  }
  return found;
}

const values = (found: [string, string][]) => found.filter(([, scope]) => !scope.startsWith("punctuation"));

test("segments, qualifiers, dates, amounts and codes are told apart", async () => {
  const line =
    "CLM*LV-2007*185.50***11:B:1*Y~DTP*472*RD8*20260128-20260129~SV1*HC:G0283:GP*90*UN*2***1~HI*ABK:M5116~SE*5*0001~";
  assert.deepEqual(values(await tokens(line)), [
    ["CLM", "entity.name.type.loop"],
    ["LV-2007", "entity.name.function.claim"],
    ["185.50", "constant.numeric.amount"],
    ["11", "constant.numeric"],
    ["1", "constant.numeric"],
    ["DTP", "keyword.other.segment"],
    ["472", "entity.other.attribute-name.qualifier"],
    ["RD8", "entity.other.attribute-name.qualifier"],
    ["20260128-20260129", "constant.numeric.date"],
    ["SV1", "keyword.other.segment"],
    ["HC", "entity.other.attribute-name.qualifier"],
    ["G0283", "variable.other.constant.procedure"],
    ["90", "constant.numeric"],
    ["2", "constant.numeric"],
    ["1", "constant.numeric"],
    ["HI", "keyword.other.segment"],
    ["ABK", "entity.other.attribute-name.qualifier"],
    ["M5116", "variable.other.constant.code"],
    ["SE", "keyword.control.envelope"],
    ["5", "constant.numeric"],
    ["0001", "constant.numeric"],
  ]);
});

test("every separator and terminator of the samples is told as one", async () => {
  for (const text of SAMPLES) {
    const found = await tokens(text);
    const count = (scope: string) => found.filter(([, each]) => each === `punctuation.${scope}`).length;
    assert.equal(count("separator.element"), text.split("*").length - 1);
    assert.equal(count("terminator.segment"), text.split("~").length - 1);
    assert.equal(
      found.filter(([, each]) => /^(keyword|entity.name.type.loop)/.test(each)).length,
      text.split("~").length - 1,
    );
  }
});

test("all on one line, the samples have the same tokens", async () => {
  for (const text of SAMPLES) assert.deepEqual(await tokens(text.replaceAll("\n", "")), await tokens(text));
});

for (const [element, component, terminator] of ["|>~", "^:'", "\x1d\x1f\x1c", "*>!", "!:\\", "+:'", "|:"].map((all) => [
  ...all,
])) {
  const name = JSON.stringify([element, component, terminator ?? "line end"]);
  test(`delimiters ${name} are no others than * : ~`, async () => {
    for (const text of SAMPLES) {
      // Each file's own, and a name that has an apostrophe in it.
      const plain = text.replace("TEAK", "O'TEAK").replace("*^*", "*{*");
      const other = plain.replace(
        /[*:~]/g,
        (each) => (each === "*" ? element : each === ":" ? component : terminator) ?? "",
      );
      assert.deepEqual(values(await tokens(other)), values(await tokens(plain)));
      const ends = (found: [string, string][]) =>
        found.filter(([, scope]) => scope === "punctuation.terminator.segment").length;
      assert.equal(ends(await tokens(other)), terminator ? ends(await tokens(plain)) : 0);
      if (terminator) assert.deepEqual(await tokens(other.replaceAll("\n", "")), await tokens(other));
    }
  });
}
