/**
 * What the README tells a reader to type.
 *
 * Owns: finding it. Does not own: doing it (`readme.long.test.ts`).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const blocks = [
  ...readFileSync(join(import.meta.dirname, "../../../README.md"), "utf8").matchAll(/^```(\w*)\n(.*?)^```$/gms),
].map(([, language = "", text = ""]) => ({ language, text }));

/** Of blocks without a language, in their order: a command, and what it is shown to print, as a pattern in which numbers are any. */
export const commands = blocks
  .filter(({ language }) => language === "")
  .map(({ text }) => {
    const [command = "", ...output] = text.trimEnd().split("\n");
    const literal = output.join("\n").replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return { command: command.replace(/^\$ /, ""), prints: new RegExp(literal.replace(/\d+(\\\.\d+)?/g, "[\\d.]+")) };
  });

/** The programs, which are modules. */
export const programs = blocks.filter(({ language }) => language === "ts").map(({ text }) => text);
