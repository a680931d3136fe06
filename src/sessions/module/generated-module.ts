/**
 * Small WebAssembly modules that are generated here.
 *
 * Owns: putting their parts together. Does not own: what they do (`trampolines.ts`, `../granule-code.ts`).
 * Mirrors: core specification, "Binary format: modules". Invariant: every function of a module is exported.
 */
import { concat, name, unsigned, vector } from "../wasm/bytes.ts";
import { ExternalKind } from "../wasm/imports.ts";
import { joinSections, SectionId } from "../wasm/sections.ts";

/** The types of values by emscripten's signature letters. */
export const valueTypes: Readonly<Record<string, number>> = { i: 0x7f, p: 0x7f, j: 0x7e, f: 0x7d, d: 0x7c };

/** The module's function types by emscripten's signature letters: the result (`v` for none), then the parameters. */
export class TypeList {
  readonly #signatures: string[] = [];

  index(signature: string): number {
    const known = this.#signatures.indexOf(signature);
    return known >= 0 ? known : this.#signatures.push(signature) - 1;
  }

  toBytes(): number[] {
    return vector(
      this.#signatures.map((signature) => {
        const [result = "v", ...parameters] = signature;
        const results = result === "v" ? [] : [[valueTypes[result]!]];
        return [0x60, ...vector(parameters.map((letter) => [valueTypes[letter]!])), ...vector(results)];
      }),
    );
  }
}

/** A function that the module exports under `field`; its body is its locals and its code. */
interface GeneratedFunction {
  readonly field: string;
  readonly type: number;
  readonly body: number[];
}

/** A module of these functions, of which the first has the index `firstIndex`: that many functions are imported. */
export function generatedModule(
  types: TypeList,
  imports: readonly (readonly number[])[],
  functions: readonly GeneratedFunction[],
  firstIndex: number,
): Uint8Array<ArrayBuffer> {
  const section = (id: number, body: number[]) => ({ id, body: concat([body]) });
  return joinSections([
    section(SectionId.type, types.toBytes()),
    section(SectionId.import, vector(imports)),
    section(SectionId.function, vector(functions.map(({ type }) => unsigned(type)))),
    section(
      SectionId.export,
      vector(functions.map(({ field }, at) => [...name(field), ExternalKind.function, ...unsigned(firstIndex + at)])),
    ),
    section(SectionId.code, vector(functions.map(({ body }) => [...unsigned(body.length), ...body]))),
  ]);
}
