/**
 * Which command a statement is that is no query.
 *
 * Owns: telling it. Does not own: what is done about it (`file-copy-default.ts`, `database-copies.ts`).
 */
import type { Machine } from "./machine.ts";

/** An offset in `PlannedStmt` (nodes/plannodes.h). */
export const utilityStatement = 88;

/** Those that are of interest here. */
const known = ["CREATE DATABASE", "DROP DATABASE", "LISTEN"] as const;

/** See the head of the file. */
export class UtilityCommands {
  readonly #machine: Machine;
  /** For each `NodeTag` that was met. */
  readonly #commands = new Map<number, (typeof known)[number] | undefined>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** The command of a `PlannedStmt`; undefined for any that is of no interest. */
  of(planned: number): (typeof known)[number] | undefined {
    const { words } = this.#machine;
    const statement = words[(planned + utilityStatement) >> 2]!;
    const tag = words[statement >> 2]!;
    if (this.#commands.has(tag)) return this.#commands.get(tag);
    const name = this.#machine.function("GetCommandTagName")(this.#machine.function("CreateCommandTag")(statement));
    const command = known.find((one) => this.#machine.startsWith(name, `${one}\0`));
    this.#commands.set(tag, command);
    return command;
  }
}
