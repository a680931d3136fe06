/**
 * Refuses client encodings that PGlite lacks the code for.
 *
 * Owns: the check before PostgreSQL's own. Does not own: the error, which is PostgreSQL's; conversions in statements
 * (`../missing-functions.ts`).
 * Why: PGlite has the conversions in `pg_conversion`, but was linked without UtfToLocal() and LocalToUtf() (src/backend/utils/mb/conv.c). A
 * session with such an encoding fails at its next message to the client, even at the message that reports the failure. PGlite can convert
 * LATIN1; a message that LATIN1 cannot encode is an error, possibly FATAL. So only an isolated session may use LATIN1. In a shared session,
 * PostgreSQL would read the other clients' UTF8 as LATIN1, and such an error would end PostgreSQL for all clients.
 */
import { Op } from "../wasm/instructions.ts";
import { WasmModule } from "../wasm/module.ts";
import { call, callOnEntry, constant, get, ifTrue } from "./code.ts";
import { Locator, only } from "./locate.ts";

// `pg_enc` (mb/pg_wchar.h).
const sqlAscii = 0;
const utf8 = 6;
const latin1 = 8;

/** The functions for conversions from and to UTF8. LATIN1 needs neither. */
const conversions = ["UtfToLocal", "LocalToUtf"];

/** Returns a PGlite module for one session with the check; unchanged if it has nothing to check, like a library. */
export function refuseEncodings(bytes: Uint8Array): Uint8Array {
  const module = new WasmModule(bytes);
  if (!module.exports.has("GetDatabaseEncoding")) return bytes;
  return refuseEncodingsIn(new Locator(module), [sqlAscii, utf8]) ? module.toBytes() : bytes;
}

/** Adds the check to a module that is being rewritten. `accepted`: the client encodings for a UTF8 database. Returns whether PGlite lacks conversions. */
export function refuseEncodingsIn(locator: Locator, accepted: readonly number[] = [sqlAscii, utf8, latin1]): boolean {
  const { module } = locator;
  if (conversions.every((name) => module.exports.has(name))) return false;
  const database = call(module.exportedFunction("GetDatabaseEncoding"));
  callOnEntry(module, locatePrepare(locator), [
    ...unlessConvertible([database], [get(0)], accepted),
    ...unlessConvertible([get(0)], [database], accepted),
  ]);
  return true;
}

/** Returns -1 if the first encoding is UTF8 and the second encoding is not accepted with it. */
function unlessConvertible(first: number[][], second: number[][], accepted: readonly number[]): number[][] {
  const is = (encoding: number[][], value: number) => [...encoding, constant(value), [Op.i32Equal]];
  const isConvertible = accepted.flatMap((one, at) => [...is(second, one), ...(at === 0 ? [] : [[Op.i32Or]])]);
  const refusal = ifTrue([constant(-1), [Op.return]]);
  return [...is(first, utf8), ...ifTrue([...isConvertible, [Op.i32EqualZero], ...refusal])];
}

/**
 * `PrepareClientEncoding(encoding)` (utils/mb/mbutils.c): the function that `check_client_encoding` calls with one number, and that looks up
 * functions with fmgr_info_cxt(). -1 means an unsupported encoding.
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
