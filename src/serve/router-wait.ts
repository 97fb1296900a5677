/**
 * iPXE looks for an IPv6 router while it asks for its IPv4 address, and goes on only when it has got both or given up: where
 * no IPv6 router answers, each network boot stands still for 16 seconds. So whoever is iPXE and has just been answered by
 * DHCP is told that there is no router: by a frame to its card alone, so that nobody else on the wire hears of it. Where
 * there is a router, it says what it has as before; the scripts that a root hands out need IPv4 only.
 */
import { closeSync, readFileSync } from 'node:fs';
import { noRouterAdvertisement } from '../net/router-advertisement.ts';
import { linkAddress, openLinkSender, sendOnLink } from './udp.ts';

const ETHERNET_ADDRESS = /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/;

export class RouterWait {
  readonly #fd: number;
  readonly #index: number;
  readonly #mac: string;

  private constructor(fd: number, index: number, mac: string) {
    this.#fd = fd;
    this.#index = index;
    this.#mac = mac;
  }

  /** On a network device; undefined where that cannot be done, and machines wait: it is no Ethernet, or we are not root. */
  static open(device: string): RouterWait | undefined {
    const about = (what: string): string => readFileSync(`/sys/class/net/${device}/${what}`, 'latin1').trim();
    const mac = about('address');
    if (!ETHERNET_ADDRESS.test(mac)) return undefined;
    const fd = openLinkSender();
    return fd === undefined ? undefined : new RouterWait(fd, Number(about('ifindex')), mac);
  }

  /** Of the machine with this MAC. A frame that is lost costs it the seconds that it would have waited anyway. */
  end(mac: string): void {
    if (!ETHERNET_ADDRESS.test(mac)) return;
    sendOnLink(this.#fd, noRouterAdvertisement(this.#mac, mac), linkAddress(this.#index, mac));
  }

  close(): void {
    closeSync(this.#fd);
  }
}
