/**
 * What is never written into a trace: passwords, and whatever they could be guessed from.
 *
 * Owns: which bytes of which messages are masked. Does not own: finding the messages (`wire/message-walker.ts`).
 * Invariant: a mask is as long as what it hides, so that the messages around it stay readable. Of a statement everything
 * from the quote behind the word PASSWORD to the end of that literal is masked, wherever the client's writes cut it.
 */

const mask = 0x2a;
const quote = 0x27;
const dollar = 0x24;
const dash = 0x2d;
const slash = 0x2f;
const semicolon = 0x3b;
const word = Buffer.from("password");

/** The types whose bodies it has to see: authentication in both directions, and what has SQL, as the context of an error. */
export const sensitive = { frontend: "pQP", backend: "REN" } as const;

/** For one direction of one connection; `mask` gets the parts of the bodies of sensitive messages. */
export class Redaction {
  /**
   * Before the word, behind it, behind what may be a comment or the beginning of an unusual literal, in a usual one, in one that is
   * itself in a literal, in another.
   */
  #state: "text" | "word" | "comment" | "prefix" | "plain" | "doubled" | "other" = "text";
  /** How many letters of the word have been seen. */
  #letters = 0;
  #prefix = 0;
  /** The byte before the one that is looked at, and that before the word. */
  #previous = 0;
  #beforeWord = 0;

  /** Whether something in this part has to go; it has then been overwritten in `copy()`. */
  hide(type: number, bytes: Uint8Array, from: number, to: number, isFirst: boolean, copy: () => Uint8Array): void {
    if (type === 0x70) copy().fill(mask, from, to);
    // Authentication: which kind it is stays, its data goes.
    else if (type === 0x52) hideChallenge(bytes, from, to, isFirst, copy);
    else this.#hideLiteral(bytes, from, to, isFirst, copy);
  }

  #hideLiteral(bytes: Uint8Array, from: number, to: number, isFirst: boolean, copy: () => Uint8Array): void {
    if (isFirst) {
      this.#state = "text";
      this.#letters = 0;
    }
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      if (this.#step(byte)) copy()[at] = mask;
      this.#previous = byte;
    }
  }

  /** Takes one byte; whether it is to be hidden. */
  #step(byte: number): boolean {
    // The end of a text.
    if (byte === 0) {
      this.#forget();
      return false;
    }
    switch (this.#state) {
      case "text":
        if ((byte | 0x20) === word[this.#letters]) this.#letters++;
        else this.#letters = (byte | 0x20) === word[0] ? 1 : 0;
        if (this.#letters === 1) this.#beforeWord = this.#previous;
        if (this.#letters === word.length) this.#state = "word";
        return false;
      case "word":
        // PASSWORD 'x', password = 'x'. Of E'x', U&'x' and $$x$$ all that follows is hidden.
        this.#prefix = byte | 0x20;
        // 'password' is a literal of its own.
        if (byte === quote && this.#beforeWord === quote) this.#forget();
        else if (byte === quote) this.#state = "plain";
        else if (byte === dash || byte === slash) this.#state = "comment";
        else if (byte === dollar || this.#prefix === 0x65 || this.#prefix === 0x75) this.#state = "prefix";
        else if (byte > 0x20 && byte !== 0x3d) this.#forget();
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
          // Nothing is in it: it is an empty one, or one in a literal.
          this.#state = "doubled";
          return false;
        }
        this.#beforeWord = 0;
        // A doubled quote is a part of it; what follows it is looked at as if the literal had begun anew.
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

  #forget(): void {
    this.#state = "text";
    this.#letters = 0;
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
