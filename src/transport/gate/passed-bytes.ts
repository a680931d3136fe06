/**
 * What has passed a gate, for a trace of it.
 *
 * Owns: the records since `begin`, and the beginning of each connection, which was before. Does not own: the trace's file.
 * Invariant: of more than the limit nothing is kept, instead of a part: half a trace cannot be replayed.
 */
import type { GateRecord } from "../../engine/gate.ts";
import { int32 } from "../../wire/frames.ts";
import { encodeMessage, encodeParse, encodeStartup, encodeSync } from "../../wire/frontend.ts";
import type { GateMember } from "./member.ts";

const mostBytes = 16 * 1024 * 1024;

/** See the head of the file. */
export class PassedBytes {
  #records: GateRecord[] = [];
  #bytes = 0;
  #isRecording = false;
  readonly #begun = new Set<number>();

  /** Throws where they are more than is kept. */
  get records(): readonly GateRecord[] {
    if (this.#bytes > mostBytes) throw new Error(`a trace of it would have more than ${mostBytes / 1024 / 1024} MB`);
    return this.#records;
  }

  /** Forgets what was before. */
  begin(records: boolean): void {
    this.#isRecording = records;
    this.#records = [];
    this.#bytes = 0;
    this.#begun.clear();
  }

  add(member: GateMember, side: "frontend" | "backend", bytes: Uint8Array): void {
    if (!this.#isRecording) return;
    if (!this.#begun.has(member.number)) {
      this.#begun.add(member.number);
      this.#begin(member);
    }
    this.#push(member, side, bytes);
  }

  decide({ number: connection }: GateMember, decision: "wait" | "woken", on: string): void {
    if (this.#isRecording) this.#records.push({ connection, decision, on });
  }

  /** As the connection would have begun for this alone: its login, and the statements that it has prepared. */
  #begin(member: GateMember): void {
    const { connection, told, statements } = member;
    this.#push(member, "frontend", encodeStartup(Object.fromEntries(connection.parameters)));
    const ready = encodeMessage("Z", Uint8Array.of(0x49));
    this.#push(
      member,
      "backend",
      Buffer.concat([
        encodeMessage("R", int32(0)),
        ...[...told].map(([name, value]) => encodeMessage("S", name, value)),
        encodeMessage("K", int32(connection.processId), int32(0)),
        ready,
      ]),
    );
    const named = [...statements].filter(([name]) => name !== "");
    if (named.length === 0) return;
    const parses = named.map(([name, sql]) => encodeParse(name, sql));
    this.#push(member, "frontend", Buffer.concat([...parses, encodeSync()]));
    this.#push(member, "backend", Buffer.concat([...named.map(() => encodeMessage("1")), ready]));
  }

  #push({ number: connection }: GateMember, side: "frontend" | "backend", bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    if (this.#bytes > mostBytes) return;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
    this.#records.push({ connection, side, bytes: text });
  }
}
