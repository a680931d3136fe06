/**
 * A registry of npm's kind that has this package as it would be published, and sends to the usual one for all others.
 *
 * Owns: the tarball and what is said of it. Does not own: who installs from it (`installers.ts`).
 * Invariant: the tarball is that of `npm pack`, so what is not in `files` is missing for the tests as it is for a user.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

const root = join(import.meta.dirname, "../../..");
/** Package managers may refuse what is younger than a day. */
const published = "2020-01-01T00:00:00.000Z";

/** See the head of the file. */
export interface Registry {
  readonly url: string;
  /** The file that it serves. */
  readonly tarball: string;
  close(): void;
}

/** Packs this package into `directory` and serves it. */
export async function serveRegistry(directory: string): Promise<Registry> {
  const tarball = pack(directory);
  const upstream = npm(["config", "get", "registry"]).trim().replace(/\/$/, "");
  const server = createServer(({ url }, response) => {
    if (url === "/pglite-devdb") {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(describe(tarball, addressOf(server))));
    } else if (url === "/pglite-devdb.tgz") response.end(readFileSync(tarball));
    else response.writeHead(302, { location: `${upstream}${url}` }).end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { url: addressOf(server), tarball, close: () => server.closeAllConnections() ?? server.close() };
}

function pack(directory: string): string {
  const [packed] = Object.values(
    JSON.parse(npm(["pack", "--json", "--ignore-scripts", "--pack-destination", directory])),
  ) as { filename: string }[];
  return join(directory, packed!.filename);
}

function npm(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync("npm", args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm ${args.join(" ")}: ${stderr}`);
  return stdout;
}

function describe(tarball: string, address: string) {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { name: string; version: string };
  const { devDependencies: _, scripts: __, ...rest } = manifest as typeof manifest & Record<string, unknown>;
  const integrity = `sha512-${createHash("sha512").update(readFileSync(tarball)).digest("base64")}`;
  const version = { ...rest, dist: { tarball: `${address}/pglite-devdb.tgz`, integrity } };
  return {
    name: manifest.name,
    "dist-tags": { latest: manifest.version },
    versions: { [manifest.version]: version },
    time: { created: published, modified: published, [manifest.version]: published },
  };
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
