/**
 * What is used of the official SDK of the Model Context Protocol.
 *
 * Owns: nothing. In dist/ it is a file of its own, small, and with its packages' licences beside it: see scripts/build.ts.
 */
export { Server } from "@modelcontextprotocol/sdk/server/index.js";
export { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
export { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
