/**
 * A Unix socket in a directory that tells whether the process that made it is alive, also across containers.
 *
 * Owns: listening, and asking. Does not own: where the socket is, or what is concluded.
 * Invariant: the kernel alone answers. A process that is stopped or busy still counts as alive; one that is gone, with all
 * its threads, does not, whatever number it had in whichever container.
 *
 * Linux only: elsewhere no container shares a kernel with us, and the path of a socket must be short (104 bytes); on
 * Linux a descriptor of its directory stands for that in /proc/self/fd.
 */
import { closeSync, openSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";

/** A socket that is listened on. */
export interface LivenessSocket {
  close(): Promise<void>;
}

/** Listens on `directory/name`; undefined where that is not possible. Does not keep the process running. */
export async function openLivenessSocket(directory: string, name: string): Promise<LivenessSocket | undefined> {
  if (process.platform !== "linux") return undefined;
  const server = createServer((socket) => socket.destroy()).unref();
  try {
    await withDescriptor(directory, (place) => listening(server, `${place}/${name}`));
  } catch {
    return undefined;
  }
  server.on("error", () => {});
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/**
 * Whether somebody listens on `directory/name`. `unknown` if there is no such socket, or the file system has none. Every
 * process that uses the directory through the same kernel gets the same answer.
 */
export async function askLivenessSocket(directory: string, name: string): Promise<"alive" | "dead" | "unknown"> {
  if (process.platform !== "linux") return "unknown";
  try {
    await withDescriptor(directory, (place) => reach(`${place}/${name}`));
    return "alive";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ECONNREFUSED") return "dead";
    // A full queue of connections belongs to a process that is there.
    return code === "EAGAIN" ? "alive" : "unknown";
  }
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function reach(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}

async function withDescriptor<T>(directory: string, use: (place: string) => Promise<T>): Promise<T> {
  const descriptor = openSync(directory, "r");
  try {
    return await use(`/proc/self/fd/${descriptor}`);
  } finally {
    closeSync(descriptor);
  }
}
