/**
 * The recorder: what passes on connections, and what is decided about their sessions, as lines of a trace.
 *
 * Owns: the lines (`docs/microscope.md` has the format), what is masked in them. Does not own: the file (`trace-file.ts`), where
 * the bytes come from (the transport's tap, or a proxy).
 * Invariant: a line for each data event and each write, in the order in which they were; nothing here waits.
 */
import type { TraceTarget } from "../../engine/listener.ts";
import { MessageWalker } from "../../wire/message-walker.ts";
import { Redaction, sensitive } from "../../wire/redaction.ts";
import { TraceFile, traceEnd } from "./trace-file.ts";

/** Both directions of a connection. */
interface Watched {
  readonly frontend: Direction;
  readonly backend: Direction;
}

/** What a session was made to do. `turn`: it runs; `wait` has what for; `woken`: its wait is over; `yield`: it lets others run. */
type Decision = "turn" | "wait" | "woken" | "yield";

/** See the head of the file. */
export class Recorder {
  readonly #file: TraceFile;
  readonly #watched = new Map<number, Watched>();
  /** On the clock of `performance.now()`; the trace may have begun in a thread before this one. */
  readonly #began: number;
  #closed: Promise<void> | undefined;

  /** Throws if the file, which has been made before, cannot be opened. */
  constructor(target: TraceTarget, onFailure: (sentence: string) => void) {
    this.#file = new TraceFile(target, onFailure);
    this.#began = performance.now() - (Date.now() - target.header.began);
  }

  /** The tap of a transport. */
  readonly tap = (connection: number, source: "frontend" | "backend" | "closed", bytes?: Uint8Array): void => {
    if (source === "closed") {
      this.#watched.delete(connection);
      this.#file.add(`{"t":${this.#now()},"c":${connection},"d":"closed"}\n`);
    } else if (bytes) this.#bytes(connection, source, bytes);
  };

  /** A decision about the session with this process id; `detail` is for a person. */
  decided(processId: number, decision: Decision, detail = ""): void {
    const more = detail === "" ? "" : `,"on":${JSON.stringify(detail)}`;
    this.#file.add(`{"t":${this.#now()},"p":${processId},"s":"${decision}"${more}}\n`);
  }

  /** The server has been brought back to what it was: `reset`, `restore`; or that was kept: `snapshot`. `detail` names it. */
  broughtBack(how: "reset" | "restore" | "snapshot", detail: string): void {
    this.#file.add(`{"t":${this.#now()},"p":0,"s":"${how}","on":${asciiJson(detail)}}\n`);
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  #end(): Promise<void> {
    this.#file.add(`{"t":${this.#now()},${traceEnd}`);
    return this.#file.close();
  }

  /** In microseconds. */
  #now(): number {
    return Math.round((performance.now() - this.#began) * 1000);
  }

  #bytes(connection: number, source: "frontend" | "backend", bytes: Uint8Array): void {
    const time = this.#now();
    let watched = this.#watched.get(connection);
    if (!watched) {
      watched = { frontend: new Direction("frontend"), backend: new Direction("backend") };
      this.#watched.set(connection, watched);
    }
    const { names, shown } = watched[source].look(bytes);
    // It is answered with one byte: yes or no.
    if (source === "frontend" && encryption.has(names)) watched.backend.expectByte();
    const text = Buffer.from(shown.buffer, shown.byteOffset, shown.length).toString("base64");
    const letter = source === "frontend" ? "F" : "B";
    this.#file.add(`{"t":${time},"c":${connection},"d":"${letter}","m":"${names}","b":"${text}"}\n`);
  }
}

/** A line has no other characters. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replaceAll(/[^ -~]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const encryption: ReadonlySet<string> = new Set(["SSLRequest", "GSSENCRequest"]);

/** One direction of a connection, with what must not be seen masked. */
class Direction {
  readonly #walker: MessageWalker;
  readonly #redaction = new Redaction();
  #bytes: Uint8Array = new Uint8Array(0);
  #copy: Uint8Array | undefined;

  constructor(side: "frontend" | "backend") {
    this.#walker = new MessageWalker(side, sensitive[side], (type, from, to, isFirst) => {
      this.#redaction.hide(type, this.#bytes, from, to, isFirst, this.#copied);
    });
  }

  expectByte(): void {
    this.#walker.expectByte();
  }

  look(bytes: Uint8Array): { readonly names: string; readonly shown: Uint8Array } {
    this.#bytes = bytes;
    this.#copy = undefined;
    const names = this.#walker.walk(bytes);
    return { names, shown: this.#copy ?? bytes };
  }

  readonly #copied = (): Uint8Array => {
    // Not `slice`, which is a view of a Buffer: what is masked here is what the server gets.
    this.#copy ??= new Uint8Array(this.#bytes);
    return this.#copy;
  };
}
