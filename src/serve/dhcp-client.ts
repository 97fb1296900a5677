/** What a DHCP packet says of who sent it. */
import type { DhcpPacket } from '../net/dhcp.ts';
import {
  DHCP_OPTION,
  IPXE_OPTION,
  readAddress,
  readArchitectures,
  readGuid,
  readOptionText,
  readSubOptions,
  readUserClass,
} from '../net/dhcp-options.ts';
import { formatMac } from '../net/mac.ts';

/** What a machine says of itself. */
export interface DhcpClient {
  mac: string;
  /** Option 93 (RFC 4578 §2.1); empty when absent. */
  arch: number[];
  userClass: string[];
  vendorClass?: string;
  /** Option 97, as the machine's own firmware prints it. */
  guid?: string;
  isIpxe: boolean;
  /** Whether iPXE says that it was built with HTTP. */
  ipxeHasHttp: boolean;
  requestedAddress?: string;
  /** Seconds for which it has been asking. */
  secs: number;
}

/** What the packet's sender says of itself. */
export function dhcpClient(request: DhcpPacket): DhcpClient {
  const { options } = request;
  const userClass = readUserClass(options.get(DHCP_OPTION.userClass));
  const ipxe = options.get(DHCP_OPTION.ipxe);
  const vendorClass = readOptionText(options.get(DHCP_OPTION.vendorClass));
  const guid = readGuid(options.get(DHCP_OPTION.clientGuid));
  const requestedAddress = readAddress(options.get(DHCP_OPTION.requestedAddress));
  return {
    // Never the client identifier: ROM, iPXE and initrd of one machine each send another one.
    mac: formatMac(request.chaddr.subarray(0, request.hlen)),
    arch: readArchitectures(options.get(DHCP_OPTION.clientArch)),
    userClass,
    ...(vendorClass !== undefined && { vendorClass }),
    ...(guid !== undefined && { guid }),
    isIpxe: ipxe !== undefined || userClass.includes('iPXE'),
    ipxeHasHttp: ipxe !== undefined && (readSubOptions(ipxe).get(IPXE_OPTION.featureHttp)?.[0] ?? 0) !== 0,
    ...(requestedAddress !== undefined && { requestedAddress }),
    secs: request.secs,
  };
}

/** Option 53; undefined in BOOTP packets. */
export function messageType(packet: DhcpPacket): number | undefined {
  return packet.options.get(DHCP_OPTION.messageType)?.[0];
}

/** Option 60 of firmware that boots from the network (PXE 2.1, UEFI 2.5 §23.7); undefined for anyone else. */
export function netbootKind(client: DhcpClient): 'PXEClient' | 'HTTPClient' | undefined {
  return (['PXEClient', 'HTTPClient'] as const).find((kind) => client.vendorClass?.startsWith(kind) === true);
}
