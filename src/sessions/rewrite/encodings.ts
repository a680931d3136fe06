/**
 * Client encodings that PGlite has no code to convert to are refused when a client asks for one.
 *
 * Owns: the check in front of PostgreSQL's own. Does not own: the error, which is PostgreSQL's; a conversion that a statement asks for
 * (`../missing-functions.ts`).
 * Why: PGlite has the conversions in `pg_conversion`, but was linked without UtfToLocal() and LocalToUtf() (src/backend/utils/mb/conv.c). A
 * session with such an encoding fails at its next message to the client, also at the message that reports the failure.
 */
import { Op } from "../wasm/instructions.ts";
import { WasmModule } from "../wasm/module.ts";
import { call, callOnEntry, constant, get, ifTrue } from "./code.ts";
import { Locator, only } from "./locate.ts";

/** `pg_enc` (mb/pg_wchar.h). */
const Encoding = { sqlAscii: 0, utf8: 6, latin1: 8 } as const;

/** The functions that conversions from and to UTF8 need; those of LATIN1 need neither. */
const conversions = ["UtfToLocal", "LocalToUtf"];

/** A PGlite for one session with the check; the same bytes where there is nothing to check, as in a library. */
export function refuseEncodings(bytes: Uint8Array): Uint8Array {
  const module = new WasmModule(bytes);
  if (!module.exports.has("GetDatabaseEncoding")) return bytes;
  return refuseEncodingsIn(new Locator(module)) ? module.toBytes() : bytes;
}

/** The same for a module that is being rewritten. Returns whether PGlite lacks conversions. */
export function refuseEncodingsIn(locator: Locator): boolean {
  const { module } = locator;
  if (conversions.every((name) => module.exports.has(name))) return false;
  const database = call(module.exportedFunction("GetDatabaseEncoding"));
  callOnEntry(module, locatePrepare(locator), [
    ...unlessConvertible([database], [get(0)]),
    ...unlessConvertible([get(0)], [database]),
  ]);
  return true;
}

/** Returns -1 if the first encoding is UTF8, and the second one that cannot be converted to it. */
function unlessConvertible(first: number[][], second: number[][]): number[][] {
  const is = (encoding: number[][], value: number) => [...encoding, constant(value), [Op.i32Equal]];
  const { sqlAscii, utf8, latin1 } = Encoding;
  const isConvertible = [...is(second, sqlAscii), ...is(second, utf8), [Op.i32Or], ...is(second, latin1), [Op.i32Or]];
  const refusal = ifTrue([constant(-1), [Op.return]]);
  return [...is(first, utf8), ...ifTrue([...isConvertible, [Op.i32EqualZero], ...refusal])];
}

/**
 * `PrepareClientEncoding(encoding)` (utils/mb/mbutils.c): what `check_client_encoding` calls with one number, and what looks up
 * functions by fmgr_info_cxt(). -1 stands for an encoding that is not supported.
 */
function locatePrepare(locator: Locator): number {
  const { module } = locator;
  const lookUp = module.exportedFunction("fmgr_info_cxt");
  const callees = new Set(locator.calls(locator.functionByStrings("Conversion between %s and %s is not supported.")));
  const found = [...callees].filter((index) => {
    if (index < module.importedFunctions) return false;
    const { parameters, results } = module.signatureOf(index);
    return parameters === 1 && results === 1 && locator.calls(index).includes(lookUp);
  });
  return only(found, "PrepareClientEncoding, called by check_client_encoding");
}
