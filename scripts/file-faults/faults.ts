/**
 * Faults of a disk, chosen at random, and ordering them in a server process.
 *
 * Owns: which there are, and the files by which `test/support/failing-files.ts` is told and tells. Does not own: the server.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Random } from "../../src/trace/storm/random.ts";
import type { FaultyCall, FileFault } from "../../test/support/failing-files.ts";

type Kind = Pick<FileFault, "kind" | "calls" | "path"> & { readonly atMost: number };

const takesSpace: readonly FaultyCall[] = ["writeSync", "openSync", "writeFileSync", "mkdirSync"];
const changes: readonly FaultyCall[] = [...takesSpace, "ftruncateSync", "truncateSync", "renameSync", "unlinkSync"];

/** `atMost`: how many such calls there are in the time that a round takes, about. */
const kinds: readonly Kind[] = [
  { kind: "ENOSPC", calls: takesSpace, atMost: 100 },
  { kind: "short", calls: ["writeSync"], atMost: 100 },
  { kind: "EIO", calls: changes, atMost: 100 },
  { kind: "EIO", calls: ["readSync"], atMost: 15 },
  // Every session reads the same few files at its start: not those.
  { kind: "EIO", calls: ["readSync"], path: "/base/", atMost: 15 },
];
const fsyncFails: Kind = { kind: "EIO", calls: ["fsyncSync"], atMost: 20 };

/** Orders faults in the process that is started with its `nodeArguments` and `environment`. */
export class FaultOrders {
  readonly #directory: string;
  readonly #file: string;
  readonly nodeArguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  #id = 0;

  /** `file` is where the order is put; `directory` is the database's. */
  constructor(file: string, directory: string) {
    this.#file = file;
    this.#directory = directory;
    this.nodeArguments = ["--import", new URL("../../test/support/failing-files.ts", import.meta.url).href];
    this.environment = { FILE_FAULT: file };
  }

  /** Chooses a fault; `syncs`: whether the database syncs its files. */
  choose(random: Random, syncs: boolean): FileFault {
    const chosen = syncs && random.oneIn(2) ? fsyncFails : kinds[random.below(kinds.length)]!;
    // As often among the first ten as among the last hundreds.
    const nth = Math.ceil(chosen.atMost ** (random.below(1000) / 1000));
    this.#id++;
    const { atMost: _, ...what } = chosen;
    return { id: this.#id, directory: this.#directory, ...what, nth, lasting: random.oneIn(3) };
  }

  order(fault: FileFault): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify(fault));
    renameSync(`${this.#file}.new`, this.#file);
  }

  /** From now on the disk is as it should be. */
  takeBack(): void {
    rmSync(this.#file, { force: true });
  }

  /** The calls that have failed: function and path. */
  hits({ id }: FileFault): string[] {
    const file = `${this.#file}.${id}.hits`;
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  }
}
