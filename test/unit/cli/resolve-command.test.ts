/**
 * What is spawned for a command, on Windows and elsewhere (the file system is a stand-in).
 */
import { describe, expect, test } from "vitest";
import { resolveCommand, whyNotStartable } from "../../../src/cli/resolve-command.ts";

const files = new Set([
  "C:\\Program Files\\nodejs\\node.exe",
  "C:\\Program Files\\nodejs\\npm.cmd",
  "C:\\app\\node_modules\\.bin\\vite.cmd",
  "C:\\app\\tool.bat",
]);

const windows = {
  platform: "win32" as const,
  environment: {
    Path: "C:\\Program Files\\nodejs;C:\\app\\node_modules\\.bin",
    PathExt: ".EXE;.BAT;.CMD",
    ComSpec: "C:\\cmd.exe",
  },
  cwd: "C:\\app",
  isFile: (path: string) => files.has(path),
};

test("elsewhere the arguments are passed as they are", () => {
  const argv = ["npm", "run", "a b", "", "$HOME", "*"];
  expect(resolveCommand(argv, { platform: "linux", environment: {}, cwd: "/" })).toEqual({
    file: "npm",
    args: argv.slice(1),
    verbatim: false,
  });
});

describe("on Windows", () => {
  test("a program is found by PATHEXT and started directly", () => {
    expect(resolveCommand(["node", "-e", "a b"], windows)).toEqual({
      file: "C:\\Program Files\\nodejs\\node.exe",
      args: ["-e", "a b"],
      verbatim: false,
    });
  });

  test("npm.cmd goes through cmd.exe, quoted for it", () => {
    expect(resolveCommand(["npm", "run", "dev", "a b", '"%PATH%"', "c\\"], windows)).toEqual({
      file: "C:\\cmd.exe",
      args: [
        "/d",
        "/s",
        "/c",
        '"C:\\Program^ Files\\nodejs\\npm.cmd ^"run^" ^"dev^" ^"a^ b^" ^"\\^"^%PATH^%\\^"^" ^"c\\\\^""',
      ],
      verbatim: true,
    });
  });

  test("a shim of npm is quoted twice, because it hands its arguments on", () => {
    const { args } = resolveCommand(["vite", "a b"], windows);
    expect(args.at(-1)).toBe('"C:\\app\\node_modules\\.bin\\vite.cmd ^^^"a^^^ b^^^""');
  });

  test("a path is taken from the working directory", () => {
    expect(resolveCommand([".\\tool.bat"], windows).args.at(-1)).toBe('"C:\\app\\tool.bat"');
  });

  test("what cannot be found is left to fail by its name", () => {
    expect(resolveCommand(["nothing", "x"], windows)).toEqual({ file: "nothing", args: ["x"], verbatim: false });
  });
});

test("a command that is not there, or is no program, is known before it is started", () => {
  expect(whyNotStartable("no-such-command.exe", windows)).toBe("ENOENT");
  expect(whyNotStartable("vite", windows)).toBeUndefined();
  const here = { platform: process.platform, environment: process.env, cwd: import.meta.dirname };
  expect(whyNotStartable("node", here)).toBeUndefined();
  expect(whyNotStartable(process.execPath, here)).toBeUndefined();
  expect(whyNotStartable("node", { ...here, environment: { PATH: "/nowhere" } })).toBe("ENOENT");
  expect(whyNotStartable("./nothing", here)).toBe("ENOENT");
  expect(whyNotStartable("./resolve-command.test.ts", here)).toBe(process.platform === "win32" ? undefined : "EACCES");
  expect(whyNotStartable("./../cli", here)).toBe("EACCES");
});
