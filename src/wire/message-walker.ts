/**
 * One direction of a connection, looked through as it comes: which messages begin where, without a copy.
 *
 * Owns: finding message boundaries in chunks that are cut anywhere, from the first byte of a connection on. Does not own:
 * whole messages (`message-reader.ts`), what a message means.
 * Invariant: it looks at the head of each message only; after bytes that cannot be the protocol it finds nothing any more.
 */
import { readInt32 } from "./frames.ts";
import { messageName, packetName, type Side } from "./message-names.ts";

/** A part of a message's body: all of it, or what one chunk has of it. Type 0: a packet without a type. */
type BodyPart = (type: number, from: number, to: number, isFirst: boolean) => void;

const typeSize = 1;
const lengthSize = 4;
const packetHead = 8;

/** Walks through one direction. */
export class MessageWalker {
  /** It began with none: `StartupMessage` and the requests before it have no type. */
  #hasTypes: boolean;
  readonly #onBody: BodyPart;
  readonly #names: string[];
  readonly #head = Buffer.alloc(packetHead);
  #headLength = 0;
  readonly #wanted = new Uint8Array(256);
  #name = "";
  /** The head was the last of its chunk. */
  #begins = false;
  #type = 0;
  #left = 0;
  #isLost = false;
  #singleBytes = 0;

  /** `onBody` gets the bodies of the messages of `bodiesOf` (letters), and of packets. */
  constructor(side: Side, bodiesOf: string, onBody: BodyPart) {
    this.#hasTypes = side === "backend";
    this.#onBody = onBody;
    for (const letter of bodiesOf) this.#wanted[letter.charCodeAt(0)] = 1;
    this.#wanted[0] = 1;
    this.#names = namesOf[side];
  }

  /** The next byte is the answer to a request for encryption, which is no message. */
  expectByte(): void {
    this.#singleBytes++;
  }

  /**
   * Takes the next chunk; returns the names of the messages whose head ends in it, `Parse Bind DataRow*12`. `...` in front is
   * the rest of an earlier message, behind is one that goes on.
   */
  walk(bytes: Uint8Array): string {
    if (this.#isLost) return "?";
    let text = this.#left > 0 || this.#headLength > 0 ? "..." : "";
    let last = "";
    let times = 0;
    const add = (name: string): void => {
      if (name === last) {
        times++;
        return;
      }
      if (times > 1) text += `*${times}`;
      text += text === "" ? name : ` ${name}`;
      last = name;
      times = 1;
    };
    for (let at = 0; at < bytes.length && !this.#isLost; ) {
      if (this.#left > 0) at = this.#body(bytes, at, false);
      else if (this.#singleBytes > 0) {
        this.#singleBytes--;
        add(bytes[at++] === 0x4e ? "no" : "yes");
      } else {
        at = this.#takeHead(bytes, at);
        if (this.#headLength > 0) continue;
        add(this.#isLost ? "?" : this.#name);
        if (this.#left > 0 && at < bytes.length) at = this.#body(bytes, at, true);
        else if (this.#left > 0) this.#begins = true;
      }
    }
    if (times > 1) text += `*${times}`;
    return this.#left > 0 || this.#headLength > 0 ? `${text} ...` : text;
  }

  #body(bytes: Uint8Array, at: number, isFirst: boolean): number {
    const end = Math.min(bytes.length, at + this.#left);
    if (this.#wanted[this.#type] === 1) this.#onBody(this.#type, at, end, isFirst || this.#begins);
    this.#begins = false;
    this.#left -= end - at;
    return end;
  }

  /** Takes what is there of a head; when it is complete, `#headLength` is 0 again. */
  #takeHead(bytes: Uint8Array, at: number): number {
    const size = this.#hasTypes ? typeSize + lengthSize : packetHead;
    if (this.#headLength === 0 && at + size <= bytes.length) {
      this.#readHead(bytes, at);
      return at + size;
    }
    const end = Math.min(bytes.length, at + size - this.#headLength);
    for (let from = at; from < end; from++) this.#head[this.#headLength++] = bytes[from]!;
    if (this.#headLength === size) {
      this.#headLength = 0;
      this.#readHead(this.#head, 0);
    }
    return end;
  }

  #readHead(bytes: Uint8Array, at: number): void {
    if (this.#hasTypes) {
      this.#type = bytes[at]!;
      this.#left = readInt32(bytes, at + typeSize) - lengthSize;
      this.#name = this.#names[this.#type]!;
    } else {
      this.#type = 0;
      this.#left = readInt32(bytes, at) - packetHead;
      this.#name = packetName(readInt32(bytes, at + lengthSize));
      this.#hasTypes = this.#name === "StartupMessage";
    }
    this.#isLost = this.#left < 0;
  }
}

const namesOf = { frontend: allNames("frontend"), backend: allNames("backend") };

/** By the number of the type, for speed; each is one word. */
function allNames(side: Side): string[] {
  return Array.from({ length: 256 }, (_, type) => {
    const name = messageName(side, String.fromCharCode(type));
    return name.startsWith("message") ? `message-${type}` : name;
  });
}
