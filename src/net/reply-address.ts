/** Where a DHCP reply goes. */
import type { DhcpPacket } from './dhcp.ts';
import { DHCP_MESSAGE, DHCP_OPTION } from './dhcp-options.ts';

export interface ReplyAddress {
  address: string;
  port: number;
}

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;
/** Where firmware that has its address asks what to boot (PXE 2.1 §2.2.3). */
export const PXE_SERVER_PORT = 4011;

/**
 * By the letter of RFC 2131 §4.1, from the reply's own fields: a reply repeats the request's `giaddr`, and its `ciaddr`
 * where that is to be believed.
 */
export function replyAddress(reply: DhcpPacket): ReplyAddress {
  if (reply.giaddr !== UNSET) return { address: reply.giaddr, port: DHCP_SERVER_PORT };
  const nak = reply.options.get(DHCP_OPTION.messageType)?.[0] === DHCP_MESSAGE.nak;
  if (!nak && reply.ciaddr !== UNSET) return { address: reply.ciaddr, port: DHCP_CLIENT_PORT };
  // Without the broadcast flag the RFC would rather have unicast to `yiaddr`, for which nobody answers ARP yet: that
  // takes a raw socket. It allows broadcast instead.
  return { address: '255.255.255.255', port: DHCP_CLIENT_PORT };
}

const UNSET = '0.0.0.0';
