/**
 * The grammar of the isolation suite's language.
 *
 * Owns: from a text to a `Spec`, with every name resolved. Does not own: tokens (`scan-spec.ts`), running.
 * Invariant: what is returned can be run as it is; a specification that the tester would refuse is refused here too.
 * Mirrors src/test/isolation/specparse.y and check_testspec() in isolationtester.c of PostgreSQL's source.
 */
import { interleavings } from "./interleavings.ts";
import { scanSpec, type Token } from "./scan-spec.ts";
import type { Blocker, Permutation, PlacedStep, Session, Spec, Step } from "./spec.ts";

/** Reads a specification. Throws with the line of the first thing that is wrong. */
export function parseSpec(text: string): Spec {
  return new Parser(scanSpec(text)).spec();
}

interface WrittenBlocker {
  readonly name: string | undefined;
  readonly notices: number | undefined;
}

interface WrittenStep {
  readonly name: string;
  readonly line: number;
  readonly blockers: readonly WrittenBlocker[];
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  readonly #steps = new Map<string, Step>();

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  spec(): Spec {
    const setups: string[] = [];
    while (this.#skip("setup")) setups.push(this.#take("sql").text);
    const teardown = this.#skip("teardown") ? this.#take("sql").text : undefined;
    const sessions: Session[] = [];
    while (this.#skip("session")) sessions.push(this.#session(sessions.length));
    if (sessions.length === 0) throw this.#unexpected("a session");
    const written: WrittenStep[][] = [];
    while (this.#skip("permutation")) written.push(this.#writtenPermutation());
    if (this.#next.kind !== "end") throw this.#unexpected("a permutation");
    const permutations = written.map((steps) => this.#resolve(steps));
    const used = new Set(permutations.flat().map(({ step }) => step));
    const unused = [...this.#steps.values()].filter((step) => !used.has(step)).map(({ name }) => name);
    return {
      setups,
      teardown,
      sessions,
      permutations: written.length > 0 ? permutations : interleavings(sessions),
      // In the order of strcmp(), because the tester sorts its steps by name.
      unusedSteps: written.length > 0 ? unused.sort((a, b) => (a < b ? -1 : 1)) : [],
    };
  }

  #session(index: number): Session {
    const name = this.#take("identifier").text;
    const setup = this.#skip("setup") ? this.#take("sql").text : undefined;
    const steps: Step[] = [];
    while (this.#skip("step")) {
      const step = { name: this.#take("identifier").text, sql: this.#take("sql").text, session: index };
      if (this.#steps.has(step.name)) throw new Error(`duplicate step name: ${step.name}`);
      this.#steps.set(step.name, step);
      steps.push(step);
    }
    if (steps.length === 0) throw this.#unexpected("a step");
    const teardown = this.#skip("teardown") ? this.#take("sql").text : undefined;
    return { name, setup, steps, teardown };
  }

  #writtenPermutation(): WrittenStep[] {
    const steps: WrittenStep[] = [];
    while (this.#next.kind === "identifier") {
      const { text: name, line } = this.#take("identifier");
      const blockers: WrittenBlocker[] = [];
      if (this.#skip("(")) {
        do blockers.push(this.#writtenBlocker());
        while (this.#skip(","));
        if (!this.#skip(")")) throw this.#unexpected(")");
      }
      steps.push({ name, line, blockers });
    }
    if (steps.length === 0) throw this.#unexpected("the name of a step");
    return steps;
  }

  #writtenBlocker(): WrittenBlocker {
    if (this.#skip("*")) return { name: undefined, notices: undefined };
    const name = this.#take("identifier").text;
    return { name, notices: this.#skip("notices") ? Number(this.#take("number").text) : undefined };
  }

  #resolve(written: readonly WrittenStep[]): Permutation {
    const here = new Set(written.map(({ name }) => name));
    return written.map(({ name, line, blockers }): PlacedStep => {
      const step = this.#steps.get(name);
      if (!step) throw new Error(`line ${line}: undefined step "${name}" specified in permutation`);
      return { step, blockers: blockers.map((blocker) => this.#resolveBlocker(step, blocker, here)) };
    });
  }

  #resolveBlocker(of: Step, { name, notices }: WrittenBlocker, here: ReadonlySet<string>): Blocker {
    if (name === undefined) return { kind: "launch" };
    const step = here.has(name) ? this.#steps.get(name) : undefined;
    if (!step) throw new Error(`undefined blocking step "${name}" referenced in permutation step "${of.name}"`);
    if (step.session === of.session) throw new Error(`permutation step "${of.name}" cannot block on its own session`);
    return notices === undefined ? { kind: "step", step } : { kind: "notices", step, count: notices };
  }

  get #next(): Token {
    return this.#tokens[this.#at]!;
  }

  /** Takes the keyword or mark, if it is the next token. */
  #skip(text: string): boolean {
    const { kind, text: found } = this.#next;
    if ((kind !== "keyword" && kind !== "mark") || found !== text) return false;
    this.#at++;
    return true;
  }

  #take(kind: Token["kind"]): Token {
    if (this.#next.kind !== kind) throw this.#unexpected(kind);
    return this.#tokens[this.#at++]!;
  }

  #unexpected(wanted: string): Error {
    return new Error(`line ${this.#next.line}: ${JSON.stringify(this.#next.text)} instead of ${wanted}`);
  }
}
