/**
 * Builds dist/ once before the tests: those of the command line start the program that is published.
 *
 * Owns: nothing but the call.
 */
import { build } from "../../scripts/build.ts";

export default build;
