/** Which runtimes are refused. The oldest Bun is a version that is not run here; `test/package/bun.long.test.ts` runs both. */
import { expect, test } from "vitest";
import { describeUnfitRuntime } from "../../../src/system/runtime.ts";

test.each([
  [{ node: "22.12.0" }, undefined],
  [{ node: "24.21.0" }, undefined],
  [{ node: "22.11.9" }, "Node v22.11.9 is too old"],
  [{ node: "20.20.0" }, "Node v20.20.0 is too old"],
  [{ node: "26.3.0", bun: "1.4.5" }, undefined],
  [{ node: "22.6.0", bun: "1.3.4" }, "Bun 1.3.4 cannot run the server: update to Bun 1.4 or later"],
])("%o", (versions, refused) => {
  const said = describeUnfitRuntime({ ...versions } as NodeJS.ProcessVersions, undefined);
  if (refused === undefined) expect(said).toBeUndefined();
  else expect(said).toContain(refused);
});
