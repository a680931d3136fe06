/**
 * CREATE DATABASE without a STRATEGY, where copying files costs next to nothing: it has FILE_COPY.
 *
 * Owns: finding such statements before they run, and what is put into them. Does not own: copying (`database-copies.ts`).
 * Why: PostgreSQL's default, WAL_LOG, writes every block of the new database through the buffers and the log; that spares a server with
 * a disk two checkpoints, and one in memory nothing. What there is afterwards is the same.
 * Invariant: a statement that may be run again, or by somebody else, is copied before it is changed.
 */
import type { Machine } from "./machine.ts";
import { type UtilityCommands, utilityStatement } from "./utility-commands.ts";

/** Offsets in `CreatedbStmt`, `DefElem` (nodes/parsenodes.h) and `List` (nodes/pg_list.h). */
const statementOptions = 8;
const elementName = 8;
const listLength = 4;
const listElements = 12;

/** See the head of the file. */
export class FileCopyDefault {
  readonly #machine: Machine;

  readonly #commands: UtilityCommands;

  constructor(machine: Machine, commands: UtilityCommands) {
    this.#machine = machine;
    this.#commands = commands;
  }

  /** The statement to run instead of one that is about to run: a `PlannedStmt`. */
  apply(planned: number): number {
    const statement = this.#word(planned + utilityStatement);
    if (this.#commands.of(planned) !== "CREATE DATABASE" || this.#hasStrategy(statement)) return planned;
    const machine = this.#machine;
    const element = machine.function("makeDefElem")(
      this.#text("strategy"),
      machine.function("makeString")(this.#text("file_copy")),
      -1,
    );
    const copy = machine.function("copyObjectImpl")(planned);
    const options = this.#word(copy + utilityStatement) + statementOptions;
    machine.setWord(options, machine.function("lappend")(this.#word(options), element));
    return copy;
  }

  #hasStrategy(statement: number): boolean {
    const list = this.#word(statement + statementOptions);
    if (list === 0) return false;
    const elements = this.#word(list + listElements);
    const names = Array.from({ length: this.#word(list + listLength) }, (_, index) =>
      this.#word(this.#word(elements + 4 * index) + elementName),
    );
    return names.some((name) => this.#machine.startsWith(name, "strategy\0"));
  }

  #text(value: string): number {
    const bytes = new TextEncoder().encode(`${value}\0`);
    const address = this.#machine.function("palloc")(bytes.length);
    this.#machine.write(address, bytes);
    return address;
  }

  #word(address: number): number {
    return this.#machine.words[address >> 2]!;
  }
}
