/**
 * A small WebAssembly module, made by hand.
 *
 * It imports `env.log` and `env.memory`, has a table of one slot with the function `answer`, which returns 42, exports
 * `answer` and the address `greeting` (16), and writes "hello" there.
 */
import { concat, name, unsigned, vector } from "../../../src/sessions/wasm/bytes.ts";
import { joinSections } from "../../../src/sessions/wasm/sections.ts";

export function smallModule(): Uint8Array<ArrayBuffer> {
  const i32 = 0x7f;
  const constant = (value: number) => [0x41, value, 0x0b];
  const answer = [0, 0x41, 42, 0x0b];
  const section = (id: number, body: number[]) => ({ id, body: concat([body]) });
  return joinSections([
    section(1, vector([[0x60, 0, 1, i32]])),
    section(
      2,
      vector([
        [...name("env"), ...name("log"), 0, 0],
        [...name("env"), ...name("memory"), 2, 0, 1],
      ]),
    ),
    section(3, vector([[0]])),
    section(4, vector([[0x70, 0, 1]])),
    section(6, vector([[i32, 0, ...constant(16)]])),
    section(
      7,
      vector([
        [...name("answer"), 0, 1],
        [...name("greeting"), 3, 0],
      ]),
    ),
    section(9, vector([[0, ...constant(0), 1, 1]])),
    section(10, vector([[...unsigned(answer.length), ...answer]])),
    section(11, vector([[0, ...constant(16), ...name("hello")]])),
  ]);
}
