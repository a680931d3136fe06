/**
 * The option table: defaults, precedence, and the sentence for every kind of bad value.
 */
import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { flagName } from "../../src/options/spec.ts";
import {
  nameOf,
  type OptionKey,
  type OptionSources,
  optionKeys,
  optionTable,
  resolveOptions,
} from "../../src/options.ts";

function refusal(sources: OptionSources): string {
  try {
    resolveOptions(sources);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error(`accepted: ${JSON.stringify(sources)}`);
}

const numbers: readonly OptionKey[] = [
  "port",
  "maxConnections",
  "idleTimeoutMs",
  "stallTimeoutMs",
  "transactionIdleTimeoutMs",
  "traceLimitMb",
  "memoryLimitMb",
  "seedRandom",
];

test("blanks around a command line do not matter", () => {
  expect(resolveOptions({ flags: { setup: " npm run migrate " } }).setup).toBe("npm run migrate");
  expect(refusal({ flags: { setup: " " } })).toMatch(/^--setup: " " /);
});

describe("defaults", () => {
  test("nothing given is the documented default of every option", () => {
    const { givenAs, ...values } = resolveOptions({});
    expect(values).toEqual({
      branches: "off",
      branchTtlMs: 0,
      perGitBranch: false,
      seedRandom: undefined,
      // On in the library, in memory.
      resets: undefined,
      logSlowMs: undefined,
      port: 5432,
      host: "127.0.0.1",
      socketDir: undefined,
      password: undefined,
      tls: "off",
      tlsCert: undefined,
      tlsKey: undefined,
      insecure: false,
      engine: "pglite",
      db: "memory://",
      fsync: "off",
      sessions: "isolated",
      maxConnections: 100,
      // Half of the memory that there is.
      memoryLimitMb: undefined,
      idleTimeoutMs: 0,
      stallTimeoutMs: 10_000,
      // 0 with isolated sessions, 30000 with shared ones.
      transactionIdleTimeoutMs: undefined,
      user: "postgres",
      // The name of the user.
      database: undefined,
      migrations: ["auto"],
      setup: undefined,
      seed: [],
      extensions: [],
      set: [],
      cache: true,
      graceMs: 10_000,
      trace: undefined,
      traceLimitMb: 256,
      traceOnFailure: undefined,
      output: "text",
      logLevel: "info",
    });
    expect(givenAs.size).toBe(0);
  });

  test("every default is a value that its own option accepts", () => {
    for (const key of optionKeys) {
      const spec = optionTable[key];
      if (spec.default !== undefined) expect([key, spec.kind.fromData(spec.default)]).toEqual([key, spec.default]);
    }
  });

  test("every flag and every environment name belongs to one option", () => {
    const flags = optionKeys.flatMap((key) => optionTable[key].flags.match(/--?[\w-]+(?=[, ])/g) ?? []);
    const names = optionKeys.flatMap((key) => optionTable[key].environment ?? []);
    expect(new Set(flags).size).toBe(flags.length);
    expect(new Set(names).size).toBe(names.length);
    expect(names.every((name) => /^DEV_DB_[A-Z_]+$/.test(name))).toBe(true);
  });
});

describe("precedence", () => {
  const sources = {
    flags: { port: "1001" },
    environment: { DEV_DB_PORT: "1002", DEV_DB_HOST: "::1" },
    packageJson: { port: 1003, host: "0.0.0.0", db: "./data" },
  };

  test("a flag wins over the environment, that over package.json, that over the default", () => {
    const options = resolveOptions(sources);
    expect(options).toMatchObject({ port: 1001, host: "::1", db: "./data", maxConnections: 100 });
  });

  test("an option is called what it was given as, and by its flag if it was not given", () => {
    const options = resolveOptions(sources);
    expect(nameOf(options, "port")).toBe("--port");
    expect(nameOf(options, "host")).toBe("DEV_DB_HOST");
    expect(nameOf(options, "db")).toBe('db in the "pglite-devdb" key of package.json');
    expect(nameOf(options, "seed")).toBe("--seed");
    expect(options.givenAs.has("seed")).toBe(false);
  });

  test("a value equal to the default still counts as given", () => {
    expect(resolveOptions({ flags: { port: "5432" } }).givenAs.has("port")).toBe(true);
  });

  test("a library option that is undefined is not given", () => {
    const options = resolveOptions({ library: { port: undefined, maxConnections: 5 } });
    expect(options.givenAs.has("port")).toBe(false);
    expect(options).toMatchObject({ port: 5432, maxConnections: 5 });
  });

  test("a bad value is refused also where a better one overrides it", () => {
    expect(refusal({ flags: { port: "0" }, environment: { DEV_DB_PORT: "x" } })).toMatch(/^DEV_DB_PORT: "x" /);
  });
});

describe("numbers", () => {
  const bad = ["", " ", "many", "-1", "+1", "1e3", "0x10", "1.5", "1_000", "01", " 5", "5 ", "Infinity", "NaN", "9e9"];

  test.each(numbers)(
    "%s refuses everything but plain decimal digits, naming option, value and what it takes",
    (key) => {
      const spec = optionTable[key];
      for (const value of bad) {
        const takes = /is not a whole number from \d+ to \d+/;
        const flag = refusal({ flags: { [key]: value } });
        expect(flag.startsWith(`${flagName(spec)}: ${JSON.stringify(value)} `)).toBe(true);
        expect(flag).toMatch(takes);
        const environment = refusal({ environment: { [spec.environment!]: value } });
        expect(environment.startsWith(`${spec.environment}: ${JSON.stringify(value)} `)).toBe(true);
        expect(environment).toMatch(takes);
      }
    },
  );

  test.each(numbers)("%s takes numbers, and only numbers, as data", (key) => {
    for (const value of [Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY, "5", null, true, [], {}]) {
      expect(refusal({ library: { [key]: value } })).toMatch(new RegExp(`^${key} in the options: `));
      expect(refusal({ packageJson: { [key]: value } })).toMatch(new RegExp(`^${key} in the "pglite-devdb" key`));
    }
  });

  test("the limits themselves are accepted and what lies beyond is not", () => {
    const accepted: [OptionKey, number, number][] = [
      ["port", 0, 65535],
      ["maxConnections", 1, 10_000],
      ["idleTimeoutMs", 0, 2 ** 31 - 1],
    ];
    for (const [key, least, most] of accepted) {
      for (const value of [least, most]) expect(resolveOptions({ flags: { [key]: String(value) } })[key]).toBe(value);
      expect(refusal({ flags: { [key]: String(most + 1) } })).toContain(`to ${most}`);
      expect(refusal({ library: { [key]: least - 1 } })).toContain(`from ${least}`);
    }
  });
});

describe("text", () => {
  test.each(["host", "socketDir", "db", "migrations", "setup", "seed"] as const)(
    "%s refuses empty and unprintable text",
    (key) => {
      const blankInFront = key === "setup" ? [] : [" a.sql"];
      for (const value of ["", " ", "\t", "a\0b", "a\nb", ...blankInFront]) {
        expect(refusal({ flags: { [key]: value } })).toContain(`: ${JSON.stringify(value)} `);
      }
    },
  );

  test("db takes a directory or memory://, and no other scheme", () => {
    for (const db of ["memory://", "./data", "/var/data", "C:\\data", "data:1"]) {
      expect(resolveOptions({ flags: { db } }).db).toBe(db);
    }
    for (const db of ["idb://x", "memory://x", "file:///x", "opfs-ahp://x", "postgres://h/d"]) {
      expect(refusal({ flags: { db } })).toMatch(new RegExp(`^--db: "${db}" .*memory://`));
    }
  });

  test("host refuses what cannot be an address", () => {
    for (const host of ["a b", "http://x", "127.0.0.1/8", "[::1]"]) refusal({ flags: { host } });
    for (const host of ["127.0.0.1", "::", "::1", "localhost", "fe80::1%eth0"]) resolveOptions({ flags: { host } });
  });

  test("seed and migrations add up, in order; a path is never cut", () => {
    expect(resolveOptions({ flags: { seed: ["b.sql", "a,c.sql"], migrations: "x:y" } })).toMatchObject({
      seed: ["b.sql", "a,c.sql"],
      migrations: ["x:y"],
    });
    expect(resolveOptions({ environment: { DEV_DB_SEED: "a.sql,b.sql" } }).seed).toEqual(["a.sql,b.sql"]);
    expect(resolveOptions({ packageJson: { seed: ["a.sql", "b.sql"], migrations: "m" } })).toMatchObject({
      seed: ["a.sql", "b.sql"],
      migrations: ["m"],
    });
    for (const seed of ["", [""], [1], null]) refusal({ library: { seed } });
  });

  test("setup and seed are functions for a caller of the library, too", () => {
    const run = async () => {};
    expect(resolveOptions({ library: { setup: run, seed: run } })).toMatchObject({ setup: run, seed: [run] });
    expect(refusal({ library: { migrations: run } })).toMatch(/^migrations in the options: .*auto.*none/);
  });

  test("settings: a comma belongs to the value unless a name follows, flags add up", () => {
    const set = (given: string | string[]) => resolveOptions({ flags: { set: given } }).set;
    expect(set("search_path=a,b")).toEqual(["search_path=a,b"]);
    expect(set("search_path=a, b, work_mem = 1MB")).toEqual(["search_path=a, b", "work_mem = 1MB"]);
    expect(set(["a=1", "auto_explain.log_min_duration=", "A=2"])).toEqual([
      "a=1",
      "auto_explain.log_min_duration=",
      "A=2",
    ]);
    expect(resolveOptions({ library: { set: ["a=1,b=2"] } }).set).toEqual(["a=1,b=2"]);
    for (const bad of ["a", "=1", "1a=2", ",a=1"]) expect(refusal({ flags: { set: bad } })).toContain("NAME=VALUE");
  });

  test("output and log level take their words only", () => {
    expect(refusal({ flags: { output: "xml" } })).toMatch(/^--output: "xml" .*text, json, env$/);
    expect(refusal({ flags: { logLevel: "INFO" } })).toBe(
      '--log-level: "INFO" is not one of silent, error, info, debug',
    );
  });
});

describe("access", () => {
  test("the cache is used unless something says no", () => {
    expect(resolveOptions({ flags: { cache: "false" }, environment: { DEV_DB_CACHE: "1" } }).cache).toBe(false);
    expect(resolveOptions({ environment: { DEV_DB_CACHE: "0" } }).cache).toBe(false);
    expect(resolveOptions({ library: { cache: false } }).cache).toBe(false);
    expect(resolveOptions({ packageJson: { cache: false } }).cache).toBe(false);
    expect(refusal({ library: { cache: 0 } })).toContain("is not true or false");
  });

  test("insecure is a flag without a value, and true or false elsewhere", () => {
    expect(resolveOptions({ flags: { insecure: "true" } }).insecure).toBe(true);
    for (const [text, value] of [
      ["1", true],
      ["true", true],
      ["0", false],
      ["false", false],
    ] as const) {
      expect(resolveOptions({ environment: { DEV_DB_INSECURE: text } }).insecure).toBe(value);
    }
    for (const text of ["", "yes", "TRUE", "constructor", "2"]) refusal({ environment: { DEV_DB_INSECURE: text } });
    expect(refusal({ library: { insecure: "true" } })).toMatch(/^insecure in the options: "true" /);
  });

  test("a password that is not accepted is not shown", () => {
    for (const password of ["", " hidden", "hidden\n", "hid\0den"]) {
      for (const sources of [
        { flags: { password } },
        { environment: { DEV_DB_PASSWORD: password } },
        { library: { password } },
      ]) {
        const message = refusal(sources);
        expect(message).toMatch(/^(--password|DEV_DB_PASSWORD|password in the options): /);
        expect(message).not.toMatch(/hid/);
      }
    }
  });

  test("tls takes its words only", () => {
    expect(refusal({ flags: { tls: "on" } })).toMatch(/^--tls: "on" .*off, auto$/);
  });
});

describe("extensions", () => {
  test("a repeated flag adds up, commas separate, repetitions count once", () => {
    expect(resolveOptions({ flags: { extensions: ["vector", "pg_trgm,vector"] } }).extensions).toEqual([
      "vector",
      "pg_trgm",
    ]);
    expect(resolveOptions({ environment: { DEV_DB_EXTENSIONS: "vector, uuid-ossp" } }).extensions).toEqual([
      "vector",
      "uuid-ossp",
    ]);
    expect(resolveOptions({ packageJson: { extensions: ["age"] } }).extensions).toEqual(["age"]);
  });

  test("an empty or impossible name is refused", () => {
    for (const value of ["", ",", "a,,b", "a,", "../x", "Vector"])
      refusal({ environment: { DEV_DB_EXTENSIONS: value } });
    for (const value of ["vector", [""], [1], null]) refusal({ library: { extensions: value } });
  });
});

describe("unknown keys", () => {
  test("package.json: the key is named and the known ones are listed", () => {
    const message = refusal({ packageJson: { prot: 1 } });
    expect(message).toMatch(
      /^the "pglite-devdb" key of package.json: there is no option "prot"; the options are port, /,
    );
    for (const key of optionKeys) expect(message).toContain(key);
  });

  test("the library refuses unknown keys, inherited names, and options of the command line", () => {
    for (const key of ["prot", "toString", "__proto__x", "output", "logLevel"]) {
      expect(refusal({ library: { [key]: "x" } })).toContain(` ${JSON.stringify(key)}`);
    }
  });

  test("something else than an object is refused", () => {
    for (const packageJson of [[], "x", 1, true])
      expect(refusal({ packageJson })).toMatch(/"pglite-devdb" key of package\.json: .*object/);
  });
});
