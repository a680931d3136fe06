/**
 * A headless Chromium, by its own protocol (Chrome DevTools Protocol) over a WebSocket.
 *
 * Owns: finding it (`TEST_CHROMIUM`, or on the PATH), starting it with a profile of its own, and its end. Does not own: the page.
 * Invariant: it listens on loopback, loads files only, and does not outlive its test.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { onTestFinished, type TestContext } from "vitest";
import { inCi } from "../../clients/support/installed.ts";
import { waitUntil } from "../../support/wait-until.ts";

const howToGetOne =
  "there is no Chromium: apt-get install chromium (scripts/install-test-clients.sh does that on Debian), or set TEST_CHROMIUM to one";

const candidates = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

function findChromium(): string | undefined {
  const all = process.env.TEST_CHROMIUM ? [process.env.TEST_CHROMIUM] : candidates;
  return all.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

/** Skips the test, saying why, where there is none; in CI it fails. */
export function requireChromium(context: TestContext): string {
  const found = findChromium();
  if (found !== undefined) return found;
  if (inCi()) throw new Error(howToGetOne);
  return context.skip(howToGetOne);
}

type Answer = { readonly id?: number; readonly result?: unknown; readonly error?: unknown; readonly method?: string };

/** A tab with one page. */
export class Browser {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #last = 0;
  #session: string | undefined;
  /** What the page has tried to load over a network, and what it has complained of. */
  readonly requests: string[] = [];
  readonly complaints: string[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)));
  }

  /** Starts a Chromium; the test's end ends it. */
  static async start(program: string): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), "pglite-devdb-chromium-"));
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"];
    const more = ["--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars"];
    const all = [...flags, ...more, "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"];
    const child = spawn(program, all, { stdio: ["ignore", "ignore", "pipe"], detached: true });
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    onTestFinished(async () => {
      // A group of its own: Chromium has many processes.
      if (child.exitCode === null) process.kill(-child.pid!, "SIGKILL");
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    });
    let url: string | undefined;
    for await (const line of createInterface({ input: child.stderr })) {
      url = /DevTools listening on (ws:\S+)/.exec(line)?.[1];
      if (url) break;
    }
    child.stderr.resume();
    if (!url) throw new Error(`${program} has ended before it listened`);
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error(`no connection to ${url}`));
    });
    return new Browser(socket);
  }

  /** Opens a file and waits until the page says that it is ready. */
  async open(file: string, size: { width: number; height: number } = { width: 1400, height: 900 }): Promise<void> {
    const { targetId } = await this.#send<{ targetId: string }>("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.#send<{ sessionId: string }>("Target.attachToTarget", { targetId, flatten: true });
    this.#session = sessionId;
    await this.#send("Emulation.setDeviceMetricsOverride", { ...size, deviceScaleFactor: 1, mobile: false });
    for (const domain of ["Page", "Network", "Runtime", "Log"]) await this.#send(`${domain}.enable`);
    await this.#send("Page.navigate", { url: pathToFileURL(file).href });
    await waitUntil("the page is ready", () => this.evaluate<boolean>(`document.body?.dataset.state === "ready"`));
    await this.settle();
  }

  /** Until what was asked for is drawn. */
  async settle(): Promise<void> {
    await this.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send<{ result: { value: T }; exceptionDetails?: unknown }>(
      "Runtime.evaluate",
      { expression, returnByValue: true, awaitPromise: true },
    );
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }

  async click(x: number, y: number): Promise<void> {
    const at = { x, y, button: "left", clickCount: 1 };
    await this.#send("Input.dispatchMouseEvent", { type: "mousePressed", ...at });
    await this.#send("Input.dispatchMouseEvent", { type: "mouseReleased", ...at });
    await this.settle();
  }

  /** Types into a field of the filters, in place of what is there. */
  async fill(name: string, text: string): Promise<void> {
    await this.evaluate(`(() => {
      const field = document.querySelector('input[name="${name}"]');
      field.value = ${JSON.stringify(text)};
      field.dispatchEvent(new Event("input", { bubbles: true }));
    })()`);
    await this.settle();
  }

  async key(key: string): Promise<void> {
    await this.#send("Input.dispatchKeyEvent", { type: "keyDown", key, ...(key.length === 1 && { text: key }) });
    await this.#send("Input.dispatchKeyEvent", { type: "keyUp", key });
    await this.settle();
  }

  async dark(isDark: boolean): Promise<void> {
    const features = [{ name: "prefers-color-scheme", value: isDark ? "dark" : "light" }];
    await this.#send("Emulation.setEmulatedMedia", { features });
    await this.settle();
  }

  /** A PNG of what is seen. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.#send<{ data: string }>("Page.captureScreenshot", { format: "png" });
    return Buffer.from(data, "base64");
  }

  #send<T>(method: string, params: object = {}): Promise<T> {
    const id = ++this.#last;
    const answered = new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        if (error) reject(new Error(`${method}: ${JSON.stringify(error)}`));
        else resolve(result as T);
      });
    });
    this.#socket.send(JSON.stringify({ id, method, params, ...(this.#session && { sessionId: this.#session }) }));
    return answered;
  }

  #take(answer: Answer & { readonly params?: Readonly<Record<string, unknown>> }): void {
    const { id, method, params } = answer;
    if (id !== undefined) {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    }
    if (method === "Network.requestWillBeSent") this.requests.push((params!.request as { url: string }).url);
    const isError = (params?.entry as { level?: string } | undefined)?.level === "error";
    if (method === "Runtime.exceptionThrown" || isError) this.complaints.push(JSON.stringify(params));
  }
}
