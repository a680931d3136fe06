/**
 * Booting PGlite on the rewritten module, up to the moment at which sessions can be made.
 *
 * Owns: PGlite's options, and taking the image of the process as it is when `PostgresMain` begins: what PostgreSQL calls
 * the postmaster's memory, of which every backend is a fork. Does not own: the sessions.
 * Invariant: the image is taken after shared memory and the preloaded libraries are there and before the process has
 * become a backend, so every session goes through the whole start of a PostgreSQL backend, in its own database and role.
 */
import { type Extensions, PGlite } from "@electric-sql/pglite";
import type { Copying } from "../cluster/copying.ts";
import { pgliteFile } from "../cluster/pglite-files.ts";
import { runSeparately, sibling } from "../system/separate.ts";
import { AccessRules } from "./access-rules.ts";
import { FileDescriptors, type FileSystem } from "./file-descriptors.ts";
import type { Template } from "./image.ts";
import { instantiateAsMachine, isMemoryOf, machineOf } from "./instantiate.ts";
import type { Machine } from "./machine.ts";
import { loadRewritten, type RewrittenPostgres } from "./module/module-cache.ts";
import { stockBinary } from "./module/stock-binary.ts";
import { sizeParkedStacks } from "./native-stack.ts";
import { notPermitted, PostgresProcess, settingOf } from "./postgres-process.ts";
import { becomePostmaster, type PostmasterMemory } from "./postmaster-memory.ts";
import { maxPreparedTransactions } from "./prepared-transactions.ts";
import { locateMemory, type MemoryMap } from "./private-memory.ts";
import { Hook } from "./rewrite/hooks.ts";
import type { Located } from "./rewrite/postgres.ts";
import { ServerLog } from "./server-log.ts";
import { connectionsOf, reservedOf, showConnections } from "./shown-connections.ts";
import { allocateSnapshotArrays } from "./snapshot-arrays.ts";
import { StartupProcess } from "./startup-process.ts";
import { keepLibraries } from "./wanted-libraries.ts";
import { refused, Window, type Windows } from "./windows.ts";

/** What `bootPostgres` takes. */
export interface BootOptions {
  /** A directory, or `memory://`. */
  readonly dataDir: string;
  /** PGlite's file system over `dataDir`; its own one if it is left out. */
  readonly files?: NonNullable<
    ConstructorParameters<typeof PGlite>[0] extends infer T ? (T extends { fs?: infer F } ? F : never) : never
  >;
  /** How they are copied; if it is absent, by PostgreSQL. */
  readonly copying?: Copying;
  /** How many sessions may be open at once. */
  readonly maxSessions: number;
  readonly extensions?: Extensions;
  /** PostgreSQL's `shared_buffers`. */
  readonly sharedBuffers?: string;
  /** The module, if it has been loaded before; the installed one if it is left out. */
  readonly postgres?: RewrittenPostgres;
  /** How much memory there is, in bytes; for tests, as much as PGlite's memory can be if it is left out. */
  readonly memoryBytes?: number;
  /** Further settings, name by name. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** PostgreSQL, booted. */
export interface BootedPostgres {
  readonly pglite: PGlite;
  readonly machine: Machine;
  readonly map: MemoryMap;
  readonly located: Located;
  /** The process as it was when `PostgresMain` began. */
  readonly postmaster: { readonly template: Template; readonly files: FileDescriptors };
  readonly windows: Windows;
  /** What the process itself has allocated since. */
  readonly window: Window;
  /** The process itself, which is connected to a database; nobody sees it in there any more. */
  readonly process: PostgresProcess;
  readonly files: FileSystem;
  /** Whether nobody will read its files when this process is gone. */
  readonly inMemory: boolean;
  readonly copying: Copying;
  readonly maxSessions: number;
  readonly log: ServerLog;
}

/** Engine: PGlite's start parameters, but `-F` (no fsync), which is left to `settings`, and `-O` (system tables may be changed). */
const startParameters = ["--single", "-j"];
const libraryDirectory = "/pglite/lib/postgresql";
/** Libraries that are not preloaded: they change the server for all, need a network, or are rare and large. */
const notPreloaded =
  /^(libpqwalreceiver|pgoutput|passwordcheck|pg_overexplain|utf8_and_(big5|euc\w+|gb\w+|johab|sjis\w*|uhc))$/;

/**
 * The rewritten module of the installed PGlite. Rejects when the binary is not of the known shape. Sets V8's flags for the stacks
 * of sessions before: code that V8 has kept is for the flags of that moment. `onRewrite` is called when it is not in the cache, and
 * will take some seconds.
 */
export function loadPostgres(onRewrite?: () => void): Promise<RewrittenPostgres> {
  sizeParkedStacks();
  const path = pgliteFile("pglite.wasm");
  return loadRewritten(stockBinary(path), undefined, () => {
    onRewrite?.();
    return runSeparately({ name: "the rewrite", url: sibling("rewrite-thread", import.meta.url), data: path });
  });
}

/** Boots PGlite. Rejects with why PostgreSQL or PGlite did not start, or when the binary is not of the known shape. */
export async function bootPostgres(options: BootOptions): Promise<BootedPostgres> {
  const { module, located } = options.postgres ?? (await loadPostgres());
  let pglite: PGlite | undefined;
  let fork: Fork | undefined;
  const log = new ServerLog();
  const files = () => pglite?.Module.FS as unknown as FileSystem & { readdir(path: string): string[] };
  const calls = (machine: Machine) => {
    const process = new StartupProcess(machine, located);
    const heap = new BootHeap(machine, located, options.memoryBytes);
    const begin = (username: number) => {
      // initdb runs on a machine of its own.
      if (!pglite?.Module || !isMemoryOf(machine, pglite.Module.HEAPU8)) return username;
      refuseCommands(machine, pglite);
      machine.bundled.filesForIcu = pglite.Module.FS;
      machine.accessRules = new AccessRules(pglite.Module.FS, settingOf(machine, "hba_file"));
      machine.accessRules.parse(machine.function("sessions_load_hba"));
      showConnections(machine, options.maxSessions + 1, connectionsOf(options.maxSessions));
      fork = { ...heap.fork(), files: new FileDescriptors(files()).fork() };
      return username;
    };
    return {
      read: () => 0,
      write: (_: number, length: number) => length,
      hook: (first: number, second: number, kind: number) => {
        if (kind === Hook.postgresMain) return begin(second);
        return kind === Hook.sbrk ? heap.sbrk(first) : process.hook(first, second, kind);
      },
    };
  };
  instantiateAsMachine(module, { located, calls });
  const pgliteOptions = {
    ...(options.files ? { fs: options.files } : { dataDir: options.dataDir }),
    pgliteWasmModule: module as unknown as object,
    onStderr: log.onStderr,
    // Each library that is installed is preloaded.
    ...(options.extensions ? { extensions: keepLibraries(options.extensions).extensions } : {}),
    // Read by PGlite when the libraries of its extensions are in its file system.
    get startParams(): string[] {
      const libraries = pglite?.Module ? installedLibraries(files().readdir(libraryDirectory)) : [];
      return [...startParameters, ...settingsOf(options, libraries)];
    },
  };
  pglite = new PGlite(pgliteOptions as ConstructorParameters<typeof PGlite>[0]);
  await pglite.waitReady.catch((error: unknown) => {
    throw log.explainFailedStart(error);
  });
  const machine = machineOf(pglite.Module.HEAPU8);
  machine.bundled.files = pglite.Module.FS;
  if (!fork) throw new Error("PostgreSQL started without passing the hook in PostgresMain");
  const { map, template, windows, window } = fork;
  const process = new PostgresProcess(machine, located);
  process.checkLayout();
  process.withdraw(map.sharedStart, map.sharedEnd);
  return {
    pglite,
    machine,
    map,
    located,
    postmaster: { template, files: fork.files },
    windows,
    window,
    process,
    files: files(),
    inMemory: options.dataDir === "memory://",
    copying: options.copying ?? { directory: () => false, isCheap: false },
    maxSessions: options.maxSessions,
    log,
  };
}

/** What is there from the moment at which the template is taken. */
interface Fork extends PostmasterMemory {
  readonly files: FileDescriptors;
  readonly window: Window;
}

/** The heap of the process that boots, which all others are forks of. */
class BootHeap {
  readonly #machine: Machine;
  readonly #located: Located;
  readonly #memoryBytes: number | undefined;
  #state: "growing" | "full" | { readonly windows: Windows; readonly window: Window } = "growing";

  constructor(machine: Machine, located: Located, memoryBytes: number | undefined) {
    this.#machine = machine;
    this.#located = located;
    this.#memoryBytes = memoryBytes;
  }

  /** The hook of `sbrk`. */
  sbrk(increment: number): number {
    if (this.#state === "growing") return increment;
    return this.#state === "full" ? refused : this.#state.windows.sbrk(this.#state.window, increment);
  }

  /** Takes the template. From now on the process allocates from a window, as all others do. */
  fork(): Omit<Fork, "files"> {
    const machine = this.#machine;
    allocateSnapshotArrays(machine, this.#located);
    this.#useUp();
    const memory = becomePostmaster(machine, locateMemory(machine), this.#memoryBytes);
    const window = new Window();
    this.#state = { windows: memory.windows, window };
    return { ...memory, window };
  }

  /**
   * Leaves nothing free in the heap: what sessions found there would lie at common addresses, and be saved and loaded. And
   * malloc learns from the refusal that what it gets later need not follow what it has.
   */
  #useUp(): void {
    this.#state = "full";
    const malloc = this.#machine.function("malloc");
    for (let bytes = 1 << 20; bytes >= 8; bytes -= bytes > 64 ? bytes / 2 : 8) while (malloc(bytes) !== 0);
  }
}

/**
 * Engine: PGlite throws for a command of the system (COPY … TO PROGRAM), and a throw ends PostgreSQL for everyone. No pipe
 * at all is an error of the statement. What is set here is in the memory that every session begins with.
 */
export function refuseCommands(machine: Machine, { Module: postgres }: PGlite): void {
  const refuse = () => {
    machine.setWord(machine.function("__errno_location")(), notPermitted);
    return 0;
  };
  postgres._pgl_set_popen_fn(postgres.addFunction(refuse, "ppp"));
  machine.libraries.noCommands();
}

function settingsOf(options: BootOptions, libraries: readonly string[]): string[] {
  const settings: Record<string, string> = {
    // Engine: PGlite's own defaults.
    exit_on_error: "false",
    log_checkpoints: "false",
    max_worker_processes: "0",
    max_parallel_workers: "0",
    max_parallel_workers_per_gather: "0",
    max_parallel_maintenance_workers: "0",
    io_method: "sync",
    // One more for the process that PGlite itself starts.
    max_connections: String(options.maxSessions + 1),
    superuser_reserved_connections: String(reservedOf(connectionsOf(options.maxSessions))),
    reserved_connections: "0",
    max_wal_senders: "0",
    autovacuum_worker_slots: "1",
    autovacuum_max_workers: "1",
    max_prepared_transactions: String(maxPreparedTransactions),
    shared_buffers: options.sharedBuffers ?? "16MB",
    // Dynamic shared memory must lie in shared memory: emscripten's mmap would give every session a copy.
    min_dynamic_shared_memory: "16MB",
    fsync: "off",
    // A library that a session loads later would be there for that session only.
    shared_preload_libraries: libraries.join(","),
    ...options.settings,
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

function installedLibraries(names: readonly string[]): string[] {
  const libraries = names.flatMap((name) => (name.endsWith(".so") ? [name.slice(0, -".so".length)] : []));
  return libraries.filter((name) => !notPreloaded.test(name)).sort();
}
