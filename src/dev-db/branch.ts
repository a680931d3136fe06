/**
 * `db.branch()`: a branch as a caller of the library gets it.
 *
 * Owns: its handle. Does not own: making and dropping it (`engine/branches.ts`).
 */
import { readBranch } from "../engine/branches.ts";
import { UsageError } from "../errors.ts";
import { connectionEnvironment, connectionUrl } from "./address.ts";
import type { DevDbBranch } from "./handle.ts";
import type { OpenedDevDb } from "./open.ts";

/** Makes a branch of a server's database. `isOver`: what is in memory has ended with the server. */
export async function makeBranch(
  { branches, address: server }: Pick<OpenedDevDb, "branches" | "address">,
  isOver: () => boolean,
  name?: string,
): Promise<DevDbBranch> {
  if (!branches)
    throw new UsageError("branches need a PostgreSQL session for each connection, and here all connections share one");
  const database = await branches.create(server.database, name);
  const address = { ...server, database };
  let dropped: Promise<void> | undefined;
  const drop = () => {
    dropped ??= (isOver() ? Promise.resolve() : branches.drop(database)).catch((error: unknown) => {
      // It is still there, and can be dropped later.
      dropped = undefined;
      throw error;
    });
    return dropped;
  };
  const { name: its } = readBranch(database)!;
  return {
    name: its,
    url: connectionUrl(address),
    database,
    env: connectionEnvironment(address),
    async reset() {
      if (dropped) throw new Error(`the branch ${its} has been dropped`);
      await branches.drop(database);
      await branches.create(server.database, its);
    },
    drop,
    [Symbol.asyncDispose]: drop,
  };
}
