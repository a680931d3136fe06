/**
 * The ports that the kernel hands out by itself, to outgoing connections and to listeners on port 0.
 *
 * Owns: reading that range. Does not own: which ports are free.
 * Invariant: a port outside the range is taken only by somebody who asked for it by number.
 */
import { readFileSync } from "node:fs";

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** IANA's dynamic ports (RFC 6335), which macOS and Windows use as they are. */
const dynamicPorts: PortRange = { first: 49_152, last: 65_535 };

const linuxSetting = "/proc/sys/net/ipv4/ip_local_port_range";

/**
 * Returns the kernel's ephemeral ports: its own setting on Linux (ip(7), `ip_local_port_range`; IPv6 uses it too),
 * 49152 to 65535 on other systems and where the setting cannot be read.
 */
export function ephemeralPorts(readSetting: () => string = () => readFileSync(linuxSetting, "utf8")): PortRange {
  let setting: string;
  try {
    setting = readSetting();
  } catch {
    return dynamicPorts;
  }
  const [, first, last] = /^(\d+)\s+(\d+)\s*$/.exec(setting) ?? [];
  return first && last ? { first: Number(first), last: Number(last) } : dynamicPorts;
}
