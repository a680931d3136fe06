/**
 * PostgreSQL's main loop, driven from records of the channel.
 *
 * Owns: running one run's frontend messages through PostgreSQL and sending what it answers. Does not own: booting it
 * (`main.ts`), or when it is interrupted (`supervisor.ts`). Invariant: PostgreSQL is only entered while there is input
 * for it: at the end of its input it would take its client for gone and end for everyone.
 */
import assert from "node:assert/strict";
import type { PGlite } from "@electric-sql/pglite";
import { encodeMessage } from "../../wire/frontend.ts";
import { type EngineChannel, RecordKind } from "../channel.ts";
import { FrameCutter } from "./frame-cutter.ts";
import type { Interrupts } from "./interrupts.ts";

type PostgresModule = PGlite["Module"];

// Engine: the exit status with which PostgreSQL asks to be entered through its error handler (PGlite's siglongjmp).
const longJump = 100;

// What may come while a COPY reads: CopyData, CopyDone, CopyFail, Flush, Sync.
const copyMessages: ReadonlySet<number> = new Set(Buffer.from("dcfHS"));
const copyFail = encodeMessage("f", "the data of this COPY ended");

/** ReadyForQuery, outside of a transaction. */
const readyOutside = encodeMessage("Z", Buffer.from("I"));

/** One PostgreSQL backend and its input. */
export class Backend {
  readonly #postgres: PostgresModule;
  readonly #channel: EngineChannel;
  readonly #interrupts: Interrupts;
  #run = 0;
  #input: "open" | "ended" = "ended";
  /** Of the current record. */
  #consumed = 0;
  readonly #frame = new FrameCutter();
  /** Since PostgreSQL was entered. */
  #framesRead = 0;
  /** Messages of nobody's that run now. */
  #unheard: Uint8Array | undefined;
  /** The end of what it has said to its client. */
  #lastWords = Buffer.alloc(0);

  /** Takes PostgreSQL's input and output over from PGlite. */
  constructor(postgres: PostgresModule, channel: EngineChannel, interrupts: Interrupts) {
    this.#postgres = postgres;
    this.#channel = channel;
    this.#interrupts = interrupts;
    const read = postgres.addFunction((address: number, size: number) => this.#read(address, size), "iii");
    const write = postgres.addFunction((address: number, size: number) => this.#write(address, size), "iii");
    postgres._pgl_set_rw_cbs(read, write);
  }

  /**
   * Runs the messages that follow in the channel up to the end of the run's input. SQL errors are answers. Throws what
   * PostgreSQL threw when it cannot go on: a trap, an assertion, an exit.
   */
  run(run: number): void {
    this.#begin(run);
    while (this.#hasInput()) this.#enter();
    this.#postgres._PostgresSendReadyForQueryIfNecessary();
    this.#end();
  }

  /** Lets PostgreSQL answer a startup packet, which its main loop does not know, with what a client is told at its login. */
  startup(run: number): void {
    this.#begin(run);
    this.#frame.beginUntyped();
    if (this.#postgres._ProcessStartupPacket(this.#postgres._pgl_getMyProcPort(), true, true) !== 0) {
      throw new Error("PostgreSQL did not accept a startup packet");
    }
    this.#postgres._pgl_sendConnData();
    this.#frame.endUntyped();
    for (let input = this.#nextInput(); input; input = this.#nextInput()) this.#consumed += input.length;
    this.#end();
  }

  /** Whether its client, whoever that is, has been told that it is ready and in no transaction. */
  get isIdle(): boolean {
    return this.#lastWords.equals(readyOutside);
  }

  /** Runs messages between two runs, up to a Sync, while it `isIdle`. Nobody gets what it answers. */
  runUnheard(messages: Uint8Array): void {
    assert(this.isIdle, "messages of nobody's would end a client's pipeline or run in its transaction");
    this.#unheard = messages;
    this.#consumed = 0;
    try {
      while (this.#hasInput()) this.#enter();
      this.#postgres._PostgresSendReadyForQueryIfNecessary();
      this.#postgres._pgl_pq_flush();
    } finally {
      this.#unheard = undefined;
      this.#consumed = 0;
    }
  }

  #begin(run: number): void {
    this.#run = run;
    this.#input = "open";
    this.#channel.setRunning(run, () => this.#interrupts.clearCancel());
  }

  #end(): void {
    this.#postgres._pgl_pq_flush();
    this.#channel.setRunning(0, () => this.#interrupts.clearCancel());
    this.#channel.send(RecordKind.done, this.#run);
  }

  #enter(): void {
    this.#framesRead = 0;
    const stack = this.#postgres.stackSave();
    try {
      this.#postgres._PostgresMainLoopOnce();
    } catch (error) {
      this.#postgres.stackRestore(stack);
      if ((error as { status?: unknown }).status !== longJump) throw error;
      this.#postgres._PostgresMainLongJmp();
    }
  }

  // Waits until it is known whether more input comes.
  #hasInput(): boolean {
    return this.#postgres._pq_buffer_remaining_data() > 0 || this.#nextInput() !== undefined;
  }

  #nextInput(): Uint8Array | undefined {
    if (this.#unheard) {
      return this.#consumed < this.#unheard.length ? this.#unheard.subarray(this.#consumed) : undefined;
    }
    while (this.#input === "open") {
      const record = this.#channel.next();
      if (record.kind === RecordKind.input && record.payload.length > this.#consumed) {
        return record.payload.subarray(this.#consumed);
      }
      if (record.kind === RecordKind.endOfInput) this.#input = "ended";
      this.#consumed = 0;
      this.#channel.take(record);
    }
    return undefined;
  }

  // One frame at a time: what PostgreSQL reads beyond the first one of an entry into its main loop is data of a COPY.
  #read(address: number, size: number): number {
    if (this.#frame.left === 0 && !this.#beginFrame()) {
      return this.#framesRead === 0 ? 0 : this.#put(copyFail, address);
    }
    const input = this.#nextInput();
    if (!input) return 0;
    const piece = this.#frame.take(input.subarray(0, size));
    this.#consumed += piece.length;
    return this.#put(piece, address);
  }

  // Returns false at the end of the input, and where PostgreSQL would end for everyone: a COPY that meets something else
  // than its data loses its session (CopyGetData() in src/backend/commands/copyfromparse.c). It is made to fail first.
  #beginFrame(): boolean {
    const input = this.#nextInput();
    if (!input) return false;
    if (this.#framesRead > 0 && !copyMessages.has(input[0]!)) return false;
    this.#framesRead++;
    this.#frame.begin();
    return true;
  }

  #put(bytes: Uint8Array, address: number): number {
    this.#postgres.HEAPU8.set(bytes, address);
    return bytes.length;
  }

  #write(address: number, size: number): number {
    if (this.#unheard) return size;
    const bytes = this.#postgres.HEAPU8.subarray(address, address + size);
    this.#lastWords = Buffer.concat([this.#lastWords, bytes.subarray(-readyOutside.length)]).subarray(
      -readyOutside.length,
    );
    this.#channel.send(RecordKind.output, this.#run, bytes);
    return size;
  }
}
