/** Golden conversations: the startup phase, and that nothing of it is looked for later. */
import { golden } from "../support/golden-suite.ts";

golden("logging in", {
  login: false,
  conversations: {
    "a startup message": `
      F StartupMessage 3.0 user=postgres database=postgres application_name=golden
      B AuthenticationOk
      B BackendKeyData of 4 bytes
      B ReadyForQuery I
    `,
    "the database defaults to the user's name": `
      F StartupMessage 3.0 user=postgres
      B AuthenticationOk
      B BackendKeyData of 4 bytes
      B ReadyForQuery I
    `,
    "SSLRequest and GSSENCRequest first, in either order": `
      F SSLRequest
      B Byte N
      F GSSENCRequest
      B Byte N
      F StartupMessage 3.0 user=postgres database=postgres
      B AuthenticationOk
      B BackendKeyData of 4 bytes
      B ReadyForQuery I
    `,
    "no user": `
      F StartupMessage 3.0 database=postgres
      B ErrorResponse FATAL 28000 "no PostgreSQL user name specified in startup packet"
      B (the connection ended)
    `,
    "protocol options that are not known": `
      F StartupMessage 3.0 user=postgres database=postgres _pq_.one=1 _pq_.two=2
      B NegotiateProtocolVersion 3.0 "_pq_.one" "_pq_.two"
      B AuthenticationOk
      B BackendKeyData of 4 bytes
      B ReadyForQuery I
    `,
    "a packet without its last byte": `
      F Bytes hex 0000001600030000757365720070677265737300aa00
      B ErrorResponse FATAL 08P01 "invalid startup packet layout: expected terminator as last byte"
      B (the connection ended)
    `,
    "a value that looks like an SSLRequest, after the login": `
      F StartupMessage 3.0 user=postgres
      F Parse "" "select encode($1::bytea, 'hex') as h"
      F Bytes hex 420000001a0000000100010001000000080000000804d2162f0000   # Bind of the eight bytes of an SSLRequest
      F Execute "" 0
      F Sync
      B AuthenticationOk
      B BackendKeyData of 4 bytes
      B ReadyForQuery I
      B ParseComplete
      B BindComplete
      B DataRow "0000000804d2162f"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "an SSLRequest after the login": `
      F StartupMessage 3.0 user=postgres
      B AuthenticationOk
      B BackendKeyData of 4 bytes
      B ReadyForQuery I
      F Query "select 1 as n"
      F SSLRequest
      B RowDescription "n":int4
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      B ErrorResponse FATAL 08P01 "invalid frontend message type 0"
      B (the connection ended)
    `,
    "a second startup message": `
      F StartupMessage 3.0 user=postgres
      F StartupMessage 3.0 user=postgres
      B AuthenticationOk
      B BackendKeyData of 4 bytes
      B ReadyForQuery I
      B ErrorResponse FATAL 08P01 "invalid frontend message type 0"
      B (the connection ended)
    `,
    "a CancelRequest is taken without a word": `
      F CancelRequest 1 00000000
      B (the connection ended)
    `,
    "protocol 3.2": `
      F StartupMessage 3.2 user=postgres database=postgres
      B AuthenticationOk
      B BackendKeyData of 32 bytes
      B ReadyForQuery I
    `,
    "protocol 3.9999 with an option": `
      F StartupMessage 3.9999 user=postgres _pq_.test_protocol_negotiation=
      B NegotiateProtocolVersion 3.2 "_pq_.test_protocol_negotiation"
      B AuthenticationOk
      B BackendKeyData of 32 bytes
      B ReadyForQuery I
    `,
    "protocol 4.0": `
      F StartupMessage 4.0 user=postgres
      B ErrorResponse FATAL 0A000 "unsupported frontend protocol 4.0: server supports 3.0 to 3.2"
      B (the connection ended)
    `,
    "an HTTP request": `
      F Bytes "GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
      B (the connection ended)
    `,
    "a TLS handshake without an SSLRequest": `
      F Bytes hex 160301020001000100
      B (the connection ended)
    `,
    "a packet that is too short": `
      F Bytes hex 0000000700030000
      B (the connection ended)
    `,
  },
  oursOnly: {
    // PostgreSQL says AuthenticationOk before it looks for the database.
    "an unknown database": `
      F StartupMessage 3.0 user=postgres database=nope
      B ErrorResponse FATAL 3D000 "database \\"nope\\" does not exist"
      B (the connection ended)
    `,
    "a replication connection": `
      F StartupMessage 3.0 user=postgres replication=database
      B ErrorResponse FATAL 0A000 "replication connections are not supported"
      B (the connection ended)
    `,
  },
});
