/** Why a server cannot listen, in words for a person; all servers of this folder share them. */
import { BladerootError } from '../errors.ts';

export interface Listening {
  /** Such as `DHCP`. */
  service: string;
  /** Such as `port 67 on eth0`. */
  where: string;
  port: number;
  protocol: 'udp' | 'tcp';
}

/**
 * A BladerootError for what `bind` said: `PORT_IN_USE`, `NOT_ROOT`, `NO_ADDRESS`, else `LISTEN_FAILED`.
 * `code` is the name of the error number, such as `EADDRINUSE`.
 */
export function bindError(code: string | undefined, at: Listening, cause?: unknown): BladerootError {
  const what = `${at.service} cannot listen at ${at.where}`;
  switch (code) {
    case 'EADDRINUSE': {
      const usual = USUAL[at.port];
      return new BladerootError('PORT_IN_USE', `${what}: another program already does`, {
        hint: `${usual === undefined ? '' : `${usual} usually sits there: `}find it with \`ss -l${at.protocol[0]}np 'sport = :${at.port}'\` and stop it`,
        cause,
      });
    }
    case 'EACCES':
    case 'EPERM':
      return new BladerootError('NOT_ROOT', `${what}: not permitted`, { hint: 'run it as root', cause });
    case 'EADDRNOTAVAIL':
      return new BladerootError('NO_ADDRESS', `${what}: this machine does not have that address`, {
        hint: 'see `ip -4 address` for those it has',
        cause,
      });
    default:
      return new BladerootError('LISTEN_FAILED', `${what}: ${code ?? 'for an unknown reason'}`, { cause });
  }
}

/** Who is found on these ports in the field. */
const USUAL: Record<number, string> = {
  67: 'dnsmasq, dhcpd (isc-dhcp-server), kea-dhcp4 or another bladeroot',
  69: 'dnsmasq, tftpd-hpa, atftpd or another bladeroot',
  80: 'nginx or apache2',
};
