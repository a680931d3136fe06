/**
 * The URL and the variables that clients get.
 */
import { expect, test } from "vitest";
import { clientAddress, connectionEnvironment, connectionUrl, environmentWith } from "../../../src/dev-db/address.ts";

const usual = { user: "postgres", database: "postgres" };

test("the URL names the bound port and an address that can be connected to", () => {
  const url = (host: string) => connectionUrl(clientAddress({ host, port: 6543 }, usual));
  expect(url("127.0.0.1")).toBe("postgresql://postgres:postgres@127.0.0.1:6543/postgres");
  expect(url("0.0.0.0")).toBe("postgresql://postgres:postgres@127.0.0.1:6543/postgres");
  expect(url("::")).toBe("postgresql://postgres:postgres@[::1]:6543/postgres");
  expect(url("localhost")).toBe("postgresql://postgres:postgres@localhost:6543/postgres");
  for (const host of ["127.0.0.1", "::"]) expect(new URL(url(host)).port).toBe("6543");
});

test("a password is percent-encoded in the URL, so that URL parsers and shells read it back", () => {
  for (const password of ["secret", "p@ss:w/rd?#[]%", 'it\'s (not) a "test"!*~', "pä ss$`\\&|;<>"]) {
    const url = connectionUrl(clientAddress({ host: "::1", port: 6543, password }, usual));
    expect(decodeURIComponent(new URL(url).password)).toBe(password);
    expect(url).toMatch(/^postgresql:\/\/postgres:[\w.%-]+@\[::1\]:6543\/postgres$/);
  }
});

test("the names of user and database are percent-encoded in the URL, and as they are in the variables", () => {
  const names = { user: "me@home", database: "my app/1" };
  const address = clientAddress({ host: "::1", port: 6543 }, names);
  expect(connectionUrl(address)).toBe("postgresql://me%40home:postgres@[::1]:6543/my%20app%2F1");
  expect(connectionEnvironment(address)).toMatchObject({ PGUSER: names.user, PGDATABASE: names.database });
});

test("TLS is required of libpq, and verified where there is a file to do it with", () => {
  const address = clientAddress({ host: "127.0.0.1", port: 6543, password: "it's", offersTls: true }, usual);
  expect(connectionEnvironment(address)).toMatchObject({ PGPASSWORD: "it's", PGSSLMODE: "require" });
  expect(connectionEnvironment(address)).not.toHaveProperty("PGSSLROOTCERT");
  expect(connectionEnvironment({ ...address, certificateFile: "/tmp/c.pem" })).toMatchObject({
    PGSSLMODE: "verify-ca",
    PGSSLROOTCERT: "/tmp/c.pem",
    NODE_EXTRA_CA_CERTS: "/tmp/c.pem",
  });
});

test("the variables say the same as the URL", () => {
  const address = clientAddress({ host: "::1", port: 6543 }, usual);
  expect(connectionEnvironment(address)).toEqual({
    DATABASE_URL: "postgresql://postgres:postgres@[::1]:6543/postgres",
    PGHOST: "::1",
    PGPORT: "6543",
    PGUSER: "postgres",
    PGPASSWORD: "postgres",
    PGDATABASE: "postgres",
    PGSSLMODE: "disable",
  });
});

test("the variables say what the URL of another server says beside its login", () => {
  const parameters = "hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert=%2Fa+b&options=-c%20geqo%3Doff&schema=app";
  const environment = connectionEnvironment({ ...clientAddress({ host: "name", port: 1 }, usual), parameters });
  const own = { PGHOSTADDR: "192.0.2.1", PGSERVICE: "prod", PGOPTIONS: "own", HOME: "/" };
  expect(environmentWith(own, environment)).toEqual({
    ...{ DATABASE_URL: expect.anything(), PGHOST: "name", PGPORT: "1", HOME: "/" },
    ...{ PGUSER: "postgres", PGPASSWORD: "postgres", PGDATABASE: "postgres" },
    ...{ PGHOSTADDR: "127.0.0.1", PGSSLMODE: "verify-full", PGSSLROOTCERT: "/a+b", PGOPTIONS: "-c geqo=off" },
  });
});
