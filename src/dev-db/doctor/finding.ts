/**
 * A finding of `pglite-devdb doctor`.
 *
 * Owns: this type. Does not own: what is found (`server.ts`, `machine.ts`), how it is printed (`cli/doctor.ts`).
 */

/** One line: what is as it should be, what differs, what stands in the way; the last two say what to do. */
export interface Finding {
  readonly weight: "ok" | "differs" | "stop";
  readonly text: string;
}
