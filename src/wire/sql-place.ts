/**
 * Tells whether a byte of an SQL text is in a quoted literal, in a dollar-quoted literal, or in neither.
 *
 * Owns: following a text byte by byte, wherever the client's writes cut it. Does not own: whole tokens (`sql/tokens.ts`).
 * Invariant: keeps a few words of state, however long the text is. A dollar-quoted literal is read as SQL, because it often is SQL.
 */
const quote = 0x27;
const doubleQuote = 0x22;
const dollar = 0x24;
const backslash = 0x5c;
const dash = 0x2d;
const slash = 0x2f;
const star = 0x2a;
const newline = 0x0a;
const longestTag = 64;

/** See the head of the file. */
export class SqlPlace {
  #in: "code" | "quoted" | "escaped" | "identifier" | "line" | "block" = "code";
  #depth = 0;
  #isEscape = false;
  #previous = 0;
  #beforePrevious = 0;
  /** What may become `$tag$`. */
  #tag: string | undefined;
  /** The tag of the literal that the text is in. */
  #dollars: string | undefined;

  /** Whether the last byte is in a quoted literal. */
  get isQuoted(): boolean {
    return this.#in === "quoted" || this.#in === "escaped";
  }

  /** Whether the last byte is in a dollar-quoted literal. */
  get isInDollars(): boolean {
    return this.#dollars !== undefined;
  }

  /** Starts a new text. */
  reset(): void {
    this.#in = "code";
    this.#depth = 0;
    this.#isEscape = false;
    this.#previous = 0;
    this.#beforePrevious = 0;
    this.#tag = undefined;
    this.#dollars = undefined;
  }

  /** Takes the next byte. */
  take(byte: number): void {
    this.#move(byte);
    this.#followTag(byte);
    this.#beforePrevious = this.#previous;
    this.#previous = byte;
  }

  #move(byte: number): void {
    switch (this.#in) {
      case "code":
        if (byte === quote) {
          const isE = (this.#previous | 0x20) === 0x65 && !isNamePart(this.#beforePrevious);
          this.#in = isE ? "escaped" : "quoted";
        } else if (byte === doubleQuote) this.#in = "identifier";
        else if (byte === dash && this.#previous === dash) this.#in = "line";
        else if (byte === star && this.#previous === slash) this.#in = "block";
        break;
      case "escaped":
        if (this.#isEscape) this.#isEscape = false;
        else if (byte === backslash) this.#isEscape = true;
        else if (byte === quote) this.#in = "code";
        break;
      // A doubled quote ends one literal and begins the next.
      case "quoted":
        if (byte === quote) this.#in = "code";
        break;
      case "identifier":
        if (byte === doubleQuote) this.#in = "code";
        break;
      case "line":
        if (byte === newline) this.#in = "code";
        break;
      case "block":
        if (byte === star && this.#previous === slash) this.#depth++;
        else if (byte === slash && this.#previous === star && this.#depth-- === 0) {
          this.#in = "code";
          this.#depth = 0;
        }
    }
  }

  #followTag(byte: number): void {
    if (byte === dollar && this.#tag !== undefined) {
      if (this.#dollars === undefined && this.#in === "code") this.#dollars = this.#tag;
      else if (this.#dollars === this.#tag) {
        this.#dollars = undefined;
        this.#in = "code";
      } else {
        this.#tag = "";
        return;
      }
      this.#tag = undefined;
    } else if (byte === dollar) this.#tag = isNamePart(this.#previous) ? undefined : "";
    else if (this.#tag !== undefined)
      this.#tag = isNamePart(byte) && this.#tag.length < longestTag ? this.#tag + String.fromCharCode(byte) : undefined;
  }
}

function isNamePart(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x5f || byte >= 0x80;
}
