/** The program that `npm run build` makes. */
import { fileURLToPath } from "node:url";

/** dist/cli.js. */
export const builtCli = fileURLToPath(new URL("../../../dist/cli.js", import.meta.url));
