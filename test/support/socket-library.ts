/**
 * The inner parts of the patched library, for tests of one part without the others.
 *
 * Owns: the one place that knows where they are (the package exports only its entry). Does not own: any of them.
 */
export * from "../../node_modules/@electric-sql/pglite-socket/src/frames.ts";
export * from "../../node_modules/@electric-sql/pglite-socket/src/startup.ts";
