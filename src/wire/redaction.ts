/**
 * Masks secrets in traces and logs: passwords, and data from which a password could be guessed.
 *
 * Owns: which bytes of which messages are masked. Does not own: finding the messages (`message-walker.ts`).
 * Invariant: a mask is as long as the hidden text, so that the messages around it stay readable. In a statement the mask covers
 * the literal after the word PASSWORD, wherever the client's writes cut it; also `password=…` and the
 * login of a `postgresql://` URL, as a literal of `CREATE SUBSCRIPTION`, dblink or a server option has them.
 */
import { SqlPlace } from "./sql-place.ts";

const mask = 0x2a;
const quote = 0x27;
const dollar = 0x24;
const dash = 0x2d;
const slash = 0x2f;
const semicolon = 0x3b;
const equals = 0x3d;
const backslash = 0x5c;
const doubleQuote = 0x22;
const colon = 0x3a;
const at = 0x40;
const word = Buffer.from("password");
const schemes = [Buffer.from("postgres://"), Buffer.from("postgresql://")];
/** PostgreSQL's error quotes the text from the unterminated quote on. */
const unterminated = Buffer.from("unterminated");
const needles = [word, ...schemes, unterminated];
const beginnings: ReadonlySet<number> = new Set(needles.map((needle) => needle[0]!));
/** Characters, besides blanks, that end `password=…` and a URL's login. */
const endsValue: ReadonlySet<number> = new Set([quote, doubleQuote, 0x26]);
const endsLogin: ReadonlySet<number> = new Set([quote, doubleQuote, slash, at, 0x3f]);

/** The message types to examine: authentication in both directions, and messages with SQL, such as the context of an error. */
export const sensitive = { frontend: "pQP", backend: "REN" } as const;

/** Masks one direction of one connection; `mask` gets the parts of sensitive messages' bodies. */
export class Redaction {
  /**
   * Before the word, behind it, behind what may be a comment or the beginning of an unusual literal, in a usual one, in one that is
   * itself in a literal, in another; in `password=value`; in a URL's user and its password; before the text that does not end.
   */
  #state:
    | ("text" | "word" | "comment" | "prefix" | "plain" | "doubled" | "other")
    | ("value" | "user" | "login" | "unterminated") = "text";
  readonly #place = new SqlPlace();
  /** Whether the text is PostgreSQL's, which has literals without their quotes. */
  #isMessage = false;
  /** How many letters of each needle have matched. */
  readonly #letters = needles.map(() => 0);
  #isInNeedle = false;
  /** Whether a `=` has followed the word, and whether a blank has. */
  #hasEquals = false;
  #hasBlank = false;
  #prefix = 0;
  /** The byte before the present byte, and the byte before the word. */
  #previous = 0;
  #beforeWord = 0;

  /** Whether this part has a secret, which is then masked in `copy()`. */
  hide(type: number, bytes: Uint8Array, from: number, to: number, isFirst: boolean, copy: () => Uint8Array): void {
    if (type === 0x70) copy().fill(mask, from, to);
    // Authentication: keep the kind, mask the data.
    else if (type === 0x52) hideChallenge(bytes, from, to, isFirst, copy);
    else {
      this.#isMessage = type === 0x45 || type === 0x4e;
      this.#hideLiteral(bytes, from, to, isFirst, copy);
    }
  }

  #hideLiteral(bytes: Uint8Array, from: number, to: number, isFirst: boolean, copy: () => Uint8Array): void {
    if (isFirst) this.#begin();
    for (let index = from; index < to; index++) {
      const byte = bytes[index]!;
      this.#place.take(byte);
      if (this.#step(byte)) copy()[index] = mask;
      this.#previous = byte;
    }
  }

  #begin(): void {
    this.#forget();
    this.#place.reset();
  }

  /** Takes one byte. Returns whether to hide it. */
  #step(byte: number): boolean {
    // The end of a text.
    if (byte === 0) {
      this.#begin();
      return false;
    }
    switch (this.#state) {
      case "text":
        this.#look(byte);
        return false;
      case "word":
        return this.#follow(byte);
      case "value":
        if (this.#previous !== backslash && (byte <= 0x20 || endsValue.has(byte))) this.#forget();
        return this.#state === "value";
      case "user":
        if (byte === colon) this.#state = "login";
        else if (byte <= 0x20 || endsLogin.has(byte)) this.#forget();
        return false;
      case "login":
        if (byte <= 0x20 || endsLogin.has(byte)) this.#forget();
        return this.#state === "login";
      case "unterminated":
        if (byte === doubleQuote) this.#state = "other";
        return false;
      case "comment":
        if (byte === quote || byte === dollar) this.#state = "other";
        return false;
      case "prefix":
        if (byte === quote || byte === 0x26 || (this.#prefix === dollar && !isDigit(byte))) this.#state = "other";
        else this.#forget();
        return false;
      case "plain":
        if (byte !== quote) return true;
        if (this.#previous === quote) {
          // The literal is empty, or is itself in a literal.
          this.#state = "doubled";
          return false;
        }
        this.#beforeWord = 0;
        // A doubled quote belongs to the literal; read the text after it as a new literal.
        this.#state = "word";
        return false;
      case "doubled":
        if (this.#previous === quote && (byte <= 0x20 || byte === semicolon)) this.#forget();
        else if (byte === quote) this.#forget();
        return this.#state === "doubled";
      case "other":
        return true;
    }
  }

  /** Looks for the words that come before a secret. */
  #look(byte: number): void {
    const letter = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    // Each byte of all SQL comes here; few of them are in one of the words.
    if (!this.#isInNeedle && !beginnings.has(letter)) return;
    this.#isInNeedle = false;
    for (let index = 0; index < needles.length; index++) {
      const needle = needles[index]!;
      const seen = this.#letters[index]!;
      const now = letter === needle[seen] ? seen + 1 : letter === needle[0] ? 1 : 0;
      this.#letters[index] = now;
      if (now > 0) this.#isInNeedle = true;
      if (needle === word && now === 1) this.#beforeWord = this.#previous;
      if (now < needle.length) continue;
      this.#found(needle);
      return;
    }
  }

  #found(needle: Buffer): void {
    this.#forget();
    this.#hasEquals = false;
    this.#hasBlank = false;
    if (needle === word) this.#state = "word";
    else if (needle !== unterminated) this.#state = "user";
    else if (this.#isMessage) this.#state = "unterminated";
  }

  /** Behind the word: PASSWORD 'x', password = 'x', and in a literal password=x. For E'x', U&'x' and $$x$$ it hides the rest of the text. Returns whether to hide `byte`, too. */
  #follow(byte: number): boolean {
    this.#prefix = byte | 0x20;
    // 'password' is a complete literal.
    if (byte === quote && this.#beforeWord === quote && !this.#hasEquals) this.#forget();
    else if (byte === quote) this.#state = "plain";
    else if (byte <= 0x20) this.#hasBlank = true;
    else if (byte === equals) this.#hasEquals = true;
    else if (byte !== dollar && this.#hasEquals && this.#isParameter) {
      this.#state = byte === backslash ? "other" : "value";
      return true;
    } else if (byte === dash || byte === slash) this.#state = "comment";
    else if (byte === dollar || this.#prefix === 0x65 || this.#prefix === 0x75) this.#state = "prefix";
    else this.#forget();
    return false;
  }

  /** Whether `password=x` here is a connection's parameter, and not a condition of SQL. */
  get #isParameter(): boolean {
    return this.#isMessage || this.#place.isQuoted || (this.#place.isInDollars && !this.#hasBlank);
  }

  #forget(): void {
    this.#state = "text";
    this.#letters.fill(0);
    this.#isInNeedle = false;
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function hideChallenge(bytes: Uint8Array, from: number, to: number, isFirst: boolean, copy: () => Uint8Array): void {
  const kind = isFirst && to - from >= 4 ? bytes[from + 3]! : 0;
  // AuthenticationSASL (10) has the names of mechanisms only.
  if (kind !== 0 && kind !== 10) copy().fill(mask, from + 4, to);
  else if (!isFirst) copy().fill(mask, from, to);
}
