/**
 * Errors of the system's files, as PostgreSQL reports them.
 *
 * Owns: their SQLSTATEs and words. Does not own: raising them (`errors.ts`).
 * Mirrors: `errcode_for_file_access` (utils/error/elog.c); the words are glibc's.
 */
const insufficientPrivilege = "42501";
const insufficientResources = "53000";

/** By Node's name of it. Any other is PostgreSQL's internal error, with Node's words. */
const known: Readonly<Record<string, readonly [sqlState: string, reason: string]>> = {
  EPERM: [insufficientPrivilege, "Operation not permitted"],
  EACCES: [insufficientPrivilege, "Permission denied"],
  EROFS: [insufficientPrivilege, "Read-only file system"],
  ENOENT: ["58P01", "No such file or directory"],
  ENOSPC: ["53100", "No space left on device"],
  EDQUOT: ["53100", "Disk quota exceeded"],
  ENOMEM: ["53200", "Cannot allocate memory"],
  ENFILE: [insufficientResources, "Too many open files in system"],
  EMFILE: [insufficientResources, "Too many open files"],
  EIO: ["58030", "Input/output error"],
};

/** The code is as `MAKE_SQLSTATE` has it. Throws what is no error of the system. */
export function fileError(error: NodeJS.ErrnoException): { readonly code: number; readonly reason: string } {
  if (error.syscall === undefined) throw error;
  const [sqlState, reason] = known[error.code ?? ""] ?? ["XX000", error.message];
  return { code: encode(sqlState), reason };
}

/** Six bits for each character. */
function encode(sqlState: string): number {
  return [...sqlState].reduce((sum, char, at) => sum + ((char.charCodeAt(0) - 48) & 63) * 2 ** (6 * at), 0);
}
