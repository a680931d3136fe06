/**
 * PostgreSQL's main loop, where one session is all of PostgreSQL.
 *
 * Owns: running one run's frontend messages through PostgreSQL and handing out what it answers. Does not own: booting it
 * (`shared.ts`), or when it is interrupted (`shared-session.ts`).
 * Invariant: PostgreSQL is only entered while there is input for it: at the end of its input it would take its client for
 * gone and end for everyone. A run is one call, and everything of it has been handed out when that returns.
 */
import assert from "node:assert/strict";
import type { PGlite } from "@electric-sql/pglite";
import { type AfterError, forgetFailedStatements } from "../../sessions/failed-portal.ts";
import { encodeMessage } from "../../wire/frontend.ts";
import type { EngineInput } from "../engine.ts";
import { FrameCutter } from "./frame-cutter.ts";

type PostgresModule = PGlite["Module"];
/** Takes what PostgreSQL writes, a view that is valid only during the call; it must not throw. */
type Take = (bytes: Uint8Array) => void;

// Engine: the exit status with which PostgreSQL asks to be entered through its error handler (PGlite's siglongjmp).
const longJump = 100;

// What may come while a COPY reads: CopyData, CopyDone, CopyFail, Flush, Sync.
const copyMessages: ReadonlySet<number> = new Set(Buffer.from("dcfHS"));
const copyFail = encodeMessage("f", "the data of this COPY ended");

/** ReadyForQuery, outside of a transaction. */
const readyOutside = Buffer.from(encodeMessage("Z", Buffer.from("I")));
const nothing: EngineInput = new Uint8Array(0);

/** One PostgreSQL backend and its input. */
export class Backend {
  readonly #postgres: PostgresModule;
  readonly #afterError: AfterError;
  #input = nothing;
  /** Of the input. */
  #consumed = 0;
  readonly #frame = new FrameCutter();
  /** Since PostgreSQL was entered. */
  #framesRead = 0;
  /** Absent for messages of nobody's. */
  #take: Take | undefined;
  /** The end of what it has said to its clients. */
  #lastWords: Uint8Array = Buffer.alloc(0);

  /** Takes PostgreSQL's input and output over from PGlite. */
  constructor(postgres: PostgresModule) {
    this.#postgres = postgres;
    this.#afterError = afterErrorOf(postgres);
    const read = postgres.addFunction((address: number, size: number) => this.#read(address, size), "iii");
    const write = postgres.addFunction((address: number, size: number) => this.#write(address, size), "iii");
    postgres._pgl_set_rw_cbs(read, write);
  }

  /**
   * Runs frontend messages, or a startup packet, which PostgreSQL's main loop does not know: it is answered with what a client
   * is told at its login. SQL errors are answers. Throws what PostgreSQL threw when it cannot go on: a trap, an assertion, an
   * exit.
   */
  run(input: EngineInput, take: Take): void {
    this.#take = take;
    const isStartup = input.length > 0 && input.subarray(0, 1)[0] === 0;
    if (isStartup) this.#startup(input);
    else this.#messages(input);
  }

  /** Whether its client, whoever that is, has been told that it is ready and in no transaction. */
  get isIdle(): boolean {
    return readyOutside.equals(this.#lastWords);
  }

  /** Runs messages between two runs, up to a Sync, while it `isIdle`. Nobody gets what it answers. */
  runUnheard(messages: Uint8Array): void {
    assert(this.isIdle, "messages of nobody's would end a client's pipeline or run in its transaction");
    this.#take = undefined;
    this.#messages(messages);
  }

  #messages(input: EngineInput): void {
    this.#begin(input);
    while (this.#postgres._pq_buffer_remaining_data() > 0 || this.#consumed < this.#input.length) this.#enter();
    this.#postgres._PostgresSendReadyForQueryIfNecessary();
    this.#end();
  }

  #startup(packet: EngineInput): void {
    this.#begin(packet);
    this.#frame.beginUntyped();
    if (this.#postgres._ProcessStartupPacket(this.#postgres._pgl_getMyProcPort(), true, true) !== 0) {
      throw new Error("PostgreSQL did not accept a startup packet");
    }
    this.#postgres._pgl_sendConnData();
    this.#frame.endUntyped();
    this.#end();
  }

  #begin(input: EngineInput): void {
    this.#input = input;
    this.#consumed = 0;
  }

  #end(): void {
    this.#postgres._pgl_pq_flush();
    this.#input = nothing;
    this.#consumed = 0;
    this.#take = undefined;
  }

  #enter(): void {
    this.#framesRead = 0;
    if (!this.#hasJumped(() => this.#postgres._PostgresMainLoopOnce())) return;
    // The handler itself may meet an error, which it handles as well; PostgreSQL ends after a few of them (ERRORDATA_STACK_SIZE, utils/error/elog.c).
    while (this.#hasJumped(() => this.#postgres._PostgresMainLongJmp()));
    forgetFailedStatements(this.#afterError);
  }

  /** Whether it has ended with an error of PostgreSQL's. */
  #hasJumped(enter: () => void): boolean {
    const stack = this.#postgres.stackSave();
    try {
      enter();
      return false;
    } catch (error) {
      this.#postgres.stackRestore(stack);
      if ((error as { status?: unknown }).status !== longJump) throw error;
      return true;
    }
  }

  // One frame at a time: what PostgreSQL reads beyond the first one of an entry into its main loop is data of a COPY.
  #read(address: number, size: number): number {
    if (this.#frame.left === 0 && !this.#beginFrame()) {
      return this.#framesRead === 0 ? 0 : this.#put(copyFail, address);
    }
    const end = Math.min(this.#input.length, this.#consumed + size);
    if (end === this.#consumed) return 0;
    const piece = this.#frame.take(this.#input.subarray(this.#consumed, end));
    this.#consumed += piece.length;
    return this.#put(piece, address);
  }

  // Returns false at the end of the input, and where PostgreSQL would end for everyone: a COPY that meets something else
  // than its data loses its session (CopyGetData() in src/backend/commands/copyfromparse.c). It is made to fail first.
  #beginFrame(): boolean {
    if (this.#consumed === this.#input.length) return false;
    const [type] = this.#input.subarray(this.#consumed, this.#consumed + 1);
    if (this.#framesRead > 0 && !copyMessages.has(type!)) return false;
    this.#framesRead++;
    this.#frame.begin();
    return true;
  }

  #put(bytes: Uint8Array, address: number): number {
    this.#postgres.HEAPU8.set(bytes, address);
    return bytes.length;
  }

  #write(address: number, size: number): number {
    if (!this.#take) return size;
    const bytes = this.#postgres.HEAPU8.subarray(address, address + size);
    const end = bytes.subarray(-readyOutside.length);
    const isWhole = end.length === readyOutside.length;
    this.#lastWords = isWhole ? end.slice() : Buffer.concat([this.#lastWords, end]).subarray(-readyOutside.length);
    this.#take(bytes);
    return size;
  }
}

function afterErrorOf(postgres: PostgresModule): AfterError {
  const { _malloc, _SPI_cursor_find } = postgres as unknown as Record<string, (parameter: number) => number>;
  assert(_malloc && _SPI_cursor_find, "PGlite exports malloc and SPI_cursor_find");
  const unnamed = _malloc(1);
  postgres.HEAPU8[unnamed] = 0;
  const words = () => new Uint32Array(postgres.HEAPU8.buffer);
  return {
    get words() {
      return words();
    },
    get bytes() {
      return postgres.HEAPU8;
    },
    setWord: (address, value) => words().fill(value, address >> 2, (address >> 2) + 1),
    unnamedPortal: () => _SPI_cursor_find(unnamed),
  };
}
