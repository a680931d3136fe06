/**
 * What a reader of the README and of docs/ relies on: links lead somewhere, also in the published package, and the table of
 * options is that of the program.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";
import { contribExtensions, packageExtensions } from "../../src/engine/extensions.ts";
import { optionKeys, optionTable } from "../../src/options.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const pages = [
  "README.md",
  "AGENTS.md",
  ...readdirSync(join(root, "docs")).flatMap((name) => (/\.md$/.test(name) ? `docs/${name}` : [])),
];
const published: readonly string[] = JSON.parse(read("package.json")).files;

interface Link {
  readonly page: string;
  /** Relative to the root. */
  readonly file: string;
  readonly anchor: string | undefined;
}

function linksOf(page: string): Link[] {
  return [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].map(([, path, anchor]) => ({
    page,
    file: path ? normalize(join(dirname(page), path)) : page,
    anchor,
  }));
}

/** As GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

test.each(pages)("%s: every link leads to a file of the published package, and to a heading in it", (page) => {
  for (const { file, anchor } of linksOf(page)) {
    expect(existsSync(join(root, file)), file).toBe(true);
    expect(
      published.some((name) => file === name || file.startsWith(`${name}/`)),
      `${file} is published`,
    ).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(file), file).toContain(anchor);
  }
});

test("the README is short", () => {
  expect(read("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(150);
});

test("AGENTS.md is short", () => {
  expect(read("AGENTS.md").trimEnd().split("\n").length).toBeLessThanOrEqual(60);
});

test("what the cookbook names in the repository is there", () => {
  const places = [...read("docs/cookbook.md").matchAll(/`(test\/.*?)`/g)].map(([, place = ""]) => place);
  expect(places.length).toBeGreaterThan(10);
  for (const place of places) expect(existsSync(join(root, place)), place).toBe(true);
});

test("docs/options.md has every option with its names and its default", () => {
  const rows = new Map(
    [...read("docs/options.md").matchAll(/^\| `(-.*?)` +\|(.*)\|$/gm)].map(([, flags = "", rest = ""]) => [
      flags.replaceAll("\\|", "|"),
      rest.split(/(?<!\\)\|/).map((cell) => cell.trim()),
    ]),
  );
  expect([...rows.keys()]).toEqual(optionKeys.map((key) => optionTable[key].flags));
  for (const key of optionKeys) {
    const { flags, environment, default: value, defaultNote } = optionTable[key];
    const [variable, name, shown] = rows.get(flags)!;
    expect(variable, flags).toBe(environment === undefined ? "" : `\`${environment}\``);
    expect(name?.split(",")[0], flags).toBe(`\`${key}\``);
    const text = value === undefined || (Array.isArray(value) && value.length === 0) ? "" : String(value);
    expect(shown?.replaceAll("`", ""), flags).toBe(defaultNote ?? text);
  }
});

test("docs/options.md has every extension", () => {
  const [, section = ""] = read("docs/options.md").split("## Extensions\n");
  for (const name of [...contribExtensions, ...Object.keys(packageExtensions)]) {
    expect(section, name).toMatch(new RegExp(`\\b${name.replaceAll("_", "[-_]")}\\b`));
  }
});
