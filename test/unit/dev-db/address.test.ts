/**
 * The URL and the variables that clients get.
 */
import { expect, test } from "vitest";
import { clientAddress, connectionEnvironment, connectionUrl } from "../../../src/dev-db/address.ts";

test("the URL names the bound port and an address that can be connected to", () => {
  const url = (host: string) => connectionUrl(clientAddress({ host, port: 6543 }));
  expect(url("127.0.0.1")).toBe("postgres://postgres:postgres@127.0.0.1:6543/postgres");
  expect(url("0.0.0.0")).toBe("postgres://postgres:postgres@127.0.0.1:6543/postgres");
  expect(url("::")).toBe("postgres://postgres:postgres@[::1]:6543/postgres");
  expect(url("localhost")).toBe("postgres://postgres:postgres@localhost:6543/postgres");
  for (const host of ["127.0.0.1", "::"]) expect(new URL(url(host)).port).toBe("6543");
});

test("the variables say the same as the URL", () => {
  const address = clientAddress({ host: "::1", port: 6543 });
  expect(connectionEnvironment(address)).toEqual({
    DATABASE_URL: "postgres://postgres:postgres@[::1]:6543/postgres",
    PGHOST: "::1",
    PGPORT: "6543",
    PGUSER: "postgres",
    PGPASSWORD: "postgres",
    PGDATABASE: "postgres",
    PGSSLMODE: "disable",
  });
});
