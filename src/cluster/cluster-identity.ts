/**
 * What makes a data directory another one than all others: PostgreSQL's system identifier.
 *
 * Owns: giving a copied data directory one of its own, as initdb would have. Does not own: the copy.
 * Mirrors: `ControlFileData` (catalog/pg_control.h), which begins with the identifier, the versions and the state, and ends with
 * the CRC-32C of all before; `XLogLongPageHeaderData` (access/xlog_internal.h), which has the identifier in each WAL segment's first page;
 * `BootStrapXLOG` (access/transam/xlog.c), which makes it from the time and the process id.
 */
import type { Cluster } from "./cluster-archive.ts";

const controlFile = "global/pg_control";
const walSegment = /^pg_wal\/[0-9A-F]{24}$/;
const identifierInWal = 24;
/** `time` in it: when it was last written, in seconds. */
const timeInControl = 24;

/** `ControlFileData` is shorter than a disk sector, so that it is written in one piece. */
const longestControlBytes = 512;

/**
 * The same cluster with another identifier, as of now. It is the same object when its files are not of the form that is known here;
 * then copies share the identifier, which only matters to tools for replication and backup.
 */
export function withNewIdentity(cluster: Cluster): Cluster {
  const segments = cluster.files.filter(({ name }) => walSegment.test(name)).map(({ read }) => viewOf(read()));
  const control = controlOf(cluster);
  const crcAt = control && findCrc(control);
  if (!control || crcAt === undefined || segments.length === 0) return cluster;
  const before = viewOf(control).getBigUint64(0, true);
  if (segments.some((segment) => segment.getBigUint64(identifierInWal, true) !== before)) return cluster;
  return identifiedAnew(cluster);
}

/** The same for a cluster that has had another identifier from here: it is known to be of that form. */
export function identifiedAnew(cluster: Cluster): Cluster {
  const control = controlOf(cluster);
  const crcAt = control && findCrc(control);
  if (!control || crcAt === undefined) throw new Error(`the cluster has no ${controlFile} of a form that is known`);
  const before = viewOf(control).getBigUint64(0, true);
  const identifier = newIdentifier();
  viewOf(control).setBigUint64(0, identifier, true);
  viewOf(control).setBigInt64(timeInControl, BigInt(Math.floor(Date.now() / 1000)), true);
  viewOf(control).setUint32(crcAt, crc32c(control.subarray(0, crcAt)), true);
  const files = cluster.files.map((file) => {
    const { name, size, readPart } = file;
    if (name === controlFile) return { name, size, read: () => control };
    if (!walSegment.test(name)) return file;
    const read = () => segmentOf(identifier, before, file.read());
    if (!readPart) return { name, size, read };
    // Parts are larger than the header, which is at the beginning.
    const part = (from: number, to: number) => {
      const bytes = readPart(from, to);
      return from === 0 ? segmentOf(identifier, before, bytes) : bytes;
    };
    return { name, size, read, readPart: part };
  });
  return { ...cluster, files };
}

/** A cluster's identifier. Throws if it has none. */
export function identifierOf(cluster: Pick<Cluster, "files">): bigint {
  const control = cluster.files.find(({ name }) => name === controlFile);
  if (!control) throw new Error(`the cluster has no ${controlFile}`);
  return viewOf(control.read()).getBigUint64(0, true);
}

/** Whether a control file is as PostgreSQL wrote it. */
export function isIntactControlFile(control: Uint8Array): boolean {
  return findCrc(control) !== undefined;
}

/** The control file, with the zeros at its end that are not kept: the checksum may end with one. */
function controlOf({ files }: Pick<Cluster, "files">): Uint8Array | undefined {
  const file = files.find(({ name }) => name === controlFile);
  if (!file) return undefined;
  const whole = new Uint8Array(file.size);
  whole.set(file.read());
  return whole;
}

/** The contents of a segment; one that nobody has written to is zeros. */
function segmentOf<Bytes extends Uint8Array>(identifier: bigint, before: bigint, bytes: Bytes): Bytes {
  const isWritten = bytes.length >= identifierInWal + 8;
  const view = viewOf(bytes);
  if (isWritten && view.getBigUint64(identifierInWal, true) === before)
    view.setBigUint64(identifierInWal, identifier, true);
  return bytes;
}

/** Seconds, microseconds and 12 bits of the process id. */
function newIdentifier(): bigint {
  const microseconds = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000));
  const million = 1_000_000n;
  return ((microseconds / million) << 32n) | ((microseconds % million) << 12n) | (BigInt(process.pid) & 0xfffn);
}

/** Where the checksum is: it is at the end of a structure whose length depends on the version. */
function findCrc(control: Uint8Array): number | undefined {
  const view = viewOf(control);
  let crc = crc32c(control.subarray(0, 8));
  for (let at = 8; at + 4 <= Math.min(control.length, longestControlBytes); at += 4) {
    const found = view.getUint32(at, true);
    if (found !== 0 && found === crc) return at;
    crc = crc32c(control.subarray(at, at + 4), crc);
  }
  return undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** CRC-32C (Castagnoli), which PostgreSQL uses everywhere; `before` is that of the bytes in front of these. */
function crc32c(bytes: Uint8Array, before = 0): number {
  const polynomial = 0x82f63b78;
  let crc = before ^ 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
