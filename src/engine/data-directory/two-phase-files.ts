/**
 * The files of prepared transactions that a checkpoint has left which never ended.
 *
 * Owns: removing those, before PostgreSQL recovers. Does not own: the recovery.
 * A checkpoint writes each prepared transaction to `pg_twophase` before its own record. Where a kill comes between the two, recovery begins at the
 * checkpoint before, which knows nothing yet of a transaction that is younger: PostgreSQL means to remove its file, because the log has all of it
 * (access/transam/twophase.c, restoreTwoPhaseData). PostgreSQL 17 and 18 look for the file under a wrong name, that of an epoch before the first, leave it,
 * and later take the log's record for what has been read from the file: a transaction is lost whose PREPARE TRANSACTION was answered.
 * Invariant: only files go that PostgreSQL would not read.
 */
import { readdirSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { isIntactControlFile } from "../../cluster/cluster-identity.ts";

const twoPhaseName = /^[0-9A-F]{16}$/;

/** `pg_control_version`: the layout (catalog/pg_control.h) of PostgreSQL 18. */
const controlVersion = 1800;
const versionAt = 8;
/** `checkPointCopy.nextXid`: what no transaction had yet when the checkpoint was taken that recovery begins at. */
const nextXidAt = 64;

/** Removes them from a data directory that is not open anywhere; does nothing where what they are cannot be known. */
export function removeFutureTwoPhaseFiles(dataDir: string): void {
  const directory = join(dataDir, "pg_twophase");
  const files = namesIn(directory).filter((name) => twoPhaseName.test(name));
  if (files.length === 0) return;
  const nextXid = readNextXid(dataDir);
  if (nextXid === undefined) return;
  for (const name of files) if (BigInt(`0x${name}`) >= nextXid) unlinkSync(join(directory, name));
}

/** PostgreSQL says what is wrong where there is none. */
function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readNextXid(dataDir: string): bigint | undefined {
  let control: Buffer;
  try {
    control = readFileSync(join(dataDir, "global/pg_control"));
  } catch {
    return undefined;
  }
  if (!isIntactControlFile(control) || control.readUInt32LE(versionAt) !== controlVersion) return undefined;
  return control.readBigUInt64LE(nextXidAt);
}
