/**
 * Reading a tar archive that is in memory.
 *
 * Owns: the format (POSIX ustar), as far as PGlite's bundles use it: plain files with short names. Does not own: where they go.
 */

/** A file of an archive. Its contents are a view of the archive. */
interface TarFile {
  readonly name: string;
  readonly contents: Uint8Array;
}

const blockBytes = 512;
const nameField = { at: 0, length: 100 } as const;
const sizeField = { at: 124, length: 12 } as const;
const typeAt = 156;

/** The plain files, in their order. */
export function readTar(archive: Buffer): TarFile[] {
  const files: TarFile[] = [];
  for (let at = 0; at + blockBytes <= archive.length && archive[at] !== 0; ) {
    const text = ({ at: from, length }: { at: number; length: number }) =>
      archive.toString("latin1", at + from, at + from + length).replace(/\0.*$/s, "");
    const size = Number.parseInt(text(sizeField), 8);
    const type = archive[at + typeAt]!;
    const begin = at + blockBytes;
    if (type === 0 || type === "0".charCodeAt(0)) {
      files.push({ name: text(nameField).replace(/^\.\//, ""), contents: archive.subarray(begin, begin + size) });
    }
    at = begin + Math.ceil(size / blockBytes) * blockBytes;
  }
  return files;
}
