/**
 * The releases of PGlite that this program is tested with: the range in package.json, one by one.
 *
 * Owns: their versions and the hashes of their `pglite.wasm`. Does not own: what is done with another one (`../../engine/thread/isolated.ts`).
 * It is a range because packages of extensions ask for the one release that they were compiled beside.
 */

/**
 * Keys are the SHA-256 hashes of binaries with which the sessions are tested, values the versions of `@electric-sql/pglite`. Another
 * binary needs the self-check.
 */
export const knownBinaries: Readonly<Record<string, string>> = {
  "7ec09d5161aabfe03cf6f3999549398a14e23db467d799fbd28004586d362035": "0.5.14",
  cdca79cacb3c128b4634d4ce9fa1da76de8464ef4c1272669bafde14f49a03e6: "0.5.15",
  "5256d9ac379f631355f41ab30291e6a6d9f854242b5ee2a2d0940e28041d3fca": "0.5.16",
};

/**
 * Whether it is one of them. They have the same imports and exports, so a library for one of them goes with all.
 */
export function isKnownVersion(version: string): boolean {
  return Object.values(knownBinaries).includes(version);
}
