/** What a check of `bladeroot doctor` found. */
export interface Finding {
  /** What was looked at, such as `ports`. */
  check: string;
  level: 'ok' | 'warning' | 'failure';
  /** One line. */
  message: string;
  /** How to mend it. */
  hint?: string;
}

/** The ports of the boot services, and what they are for. */
export const SERVICE_PORTS = [
  { protocol: 'udp', port: 67, service: 'DHCP' },
  { protocol: 'udp', port: 69, service: 'TFTP' },
  { protocol: 'udp', port: 4011, service: 'PXE' },
  { protocol: 'tcp', port: 8067, service: 'HTTP' },
] as const;
