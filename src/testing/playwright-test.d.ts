/**
 * What is used of `@playwright/test`, which is installed where it is used, and not here.
 *
 * Owns: those few types. Does not own: Playwright's own, which a project that imports `pglite-devdb/playwright` has.
 * Invariant: no published type refers to these.
 */
declare module "@playwright/test" {
  interface TestInfo {
    readonly title: string;
    readonly status?: string;
    readonly expectedStatus: string;
  }
  type Hook = (hook: () => Promise<void>) => void;
  /** Playwright's. */
  export const test: {
    readonly beforeAll: Hook;
    readonly beforeEach: Hook;
    readonly afterEach: Hook;
    readonly afterAll: Hook;
    readonly info: () => TestInfo;
  };
}
