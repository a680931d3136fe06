/**
 * An event trigger ON LOGIN that lets nobody in: the server starts all the same, and who says so gets in and drops it.
 *
 * @module-tag long
 */
import pg from "pg";
import postgres from "postgres";
import { beforeAll, expect, test } from "vitest";
import { startCli } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";

beforeAll(initializeTemplate);

test("a trigger that refuses every login does not keep the server from starting", async () => {
  const db = initializedDirectory();
  const start = async () => {
    const cli = startCli(["--port", "0", "-o", "json", "--db", db, "--sessions", "isolated"]);
    const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!) as { url: string };
    const connect = (connection = {}) => postgres(url, { max: 1, onnotice: () => {}, connection });
    const stop = () => {
      cli.child.kill("SIGTERM");
      return cli.ended;
    };
    return { url, connect, stop };
  };
  const first = await start();
  const owner = first.connect();
  await owner.unsafe(`
    create function refuse() returns event_trigger language plpgsql as $$begin raise 'nobody'; end$$;
    create event trigger refuse on login execute function refuse();
  `);
  await owner.end();
  await first.stop();
  const second = await start();
  const refused = new pg.Client(second.url);
  refused.on("error", () => {});
  await expect(refused.connect().then(() => refused.query("select 1"))).rejects.toThrow("nobody");
  const rescue = second.connect({ event_triggers: "off" });
  await rescue`drop event trigger refuse`;
  await rescue.end();
  const client = second.connect();
  expect(await client`select 1 as one`).toEqual([{ one: 1 }]);
  await client.end();
  await second.stop();
});
