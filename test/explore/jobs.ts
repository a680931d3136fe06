/**
 * A database with two jobs, and actors that change them.
 *
 * Owns: its server and its pool, for a test file. Does not own: what the actors of a test do.
 */
import { afterAll, beforeAll } from "vitest";
import { type Actor, type ExploreOptions, explore } from "../../src/explore/index.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { Application } from "./actors.ts";

/** What a test file has of them; it is there from its first test on. */
interface Jobs {
  readonly db: { readonly url: string };
  readonly app: Application;
  /** Explores; before each schedule both jobs are new. */
  run(actors: Record<string, Actor>, more?: Partial<ExploreOptions>): ReturnType<typeof explore>;
  /** Says that one is done. */
  change(id: number): Promise<unknown>;
}

/** Those of the file that calls this, with what else `sql` makes there. */
export function useJobs(sql = ""): Jobs {
  let server: DevDb | undefined;
  const db = {
    get url(): string {
      return server!.url;
    },
  };
  const app = new Application(() => db.url);
  beforeAll(async () => {
    server = await startDevDb({ port: 0, migrations: "none" });
    await app.pool.query(`create table jobs (id int primary key, state text); ${sql}`);
  });
  afterAll(async () => {
    await app.pool.end();
    await server?.close();
  });
  return {
    db,
    app,
    run: (actors, more = {}) =>
      explore({
        db,
        actors,
        reset: (statement) => statement("truncate jobs; insert into jobs values (1, 'new'), (2, 'new')"),
        invariant: async () => true,
        ...more,
      }),
    change: (id) => app.query("update jobs set state = 'done' where id = $1", id),
  };
}
