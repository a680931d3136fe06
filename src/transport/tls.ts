/**
 * TLS for the connections of clients.
 *
 * Owns: the upgrade of a socket, and the hash of the certificate for channel binding. Does not own: where the certificate
 * comes from (`certificate.ts`), or who is upgraded (`login.ts`).
 * Invariant: a handshake that fails or that never ends costs its own connection only; the connection's clock bounds it.
 * Mirrors src/backend/libpq/be-secure-openssl.c and ProcessSSLStartup() in src/backend/tcop/backend_startup.c.
 */
import { constants } from "node:crypto";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Certificate } from "./certificate.ts";
import { hashForBinding } from "./certificate-hash.ts";

/** The name of the protocol in a handshake, as registered with IANA; libpq sends it from version 17 on. */
const applicationProtocol = "postgresql";

/** TLS with one certificate. */
export interface TlsServer {
  /** For the channel binding `tls-server-end-point`; undefined for a certificate that has none. */
  readonly certificateHash: Buffer | undefined;
  /**
   * Answers an SSLRequest with `S` and returns the encrypted side of `socket`; `direct`: there was no SSLRequest, the
   * client has begun with the handshake. Undefined, and nothing was written, for a Unix socket: as in PostgreSQL it has
   * no TLS.
   */
  upgrade(socket: Duplex, direct: boolean): Duplex | undefined;
}

/** Throws the error of OpenSSL for a certificate that it does not take. */
export function createTlsServer({ cert, key }: Certificate): TlsServer {
  // It is loaded only where it is used.
  const { createSecureContext, TLSSocket } = process.getBuiltinModule("node:tls");
  const secureContext = createSecureContext({
    cert,
    key,
    minVersion: "TLSv1.2",
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  });
  return {
    certificateHash: hashForBinding(cert),
    upgrade(socket, direct) {
      if (!(socket instanceof Socket) || socket.localAddress === undefined) return undefined;
      if (!direct) socket.write("S");
      const encrypted = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: [applicationProtocol] });
      // A handshake can fail before the connection listens for errors; it sees the close in any case.
      encrypted.on("error", () => {});
      // Who begins with a handshake has to say for which protocol: it may be meant for another server.
      encrypted.once("secure", () => {
        if (direct && encrypted.alpnProtocol !== applicationProtocol) encrypted.destroy();
      });
      return encrypted;
    },
  };
}
