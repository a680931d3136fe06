import { describe, expect, test } from "vitest";
import { ephemeralPorts } from "../../../src/testing/ephemeral-ports.ts";

describe("the kernel's ephemeral ports", () => {
  test("are what the Linux setting says", () => {
    expect(ephemeralPorts(() => "32768\t60999\n")).toEqual({ first: 32_768, last: 60_999 });
    expect(ephemeralPorts(() => "1024 65535")).toEqual({ first: 1_024, last: 65_535 });
  });

  test("are IANA's dynamic ports where there is no such setting", () => {
    const readSetting = () => {
      throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    };
    expect(ephemeralPorts(readSetting)).toEqual({ first: 49_152, last: 65_535 });
  });

  test.each(["", "32768", "many ports", "32768 60999 7"])("are IANA's dynamic ports for the setting %j", (setting) => {
    expect(ephemeralPorts(() => setting)).toEqual({ first: 49_152, last: 65_535 });
  });

  test("are a range on this machine", () => {
    const { first, last } = ephemeralPorts();
    expect(first).toBeGreaterThan(0);
    expect(last).toBeGreaterThan(first);
  });
});
