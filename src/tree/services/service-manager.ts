/**
 * What starts services on a blade, as changes to its files: the image's own programs (systemctl, rc-update) are never
 * run. A service manager reads the image as it is at each call, so that edits laid over it in between count.
 */
import { BladerootError } from '../../errors.ts';
import { nameList, nearest } from '../../fleet/nearest.ts';

/** A change to a root filesystem. Paths are as in ImageFiles; a whiteout takes away what is there. */
export type OverlayEdit =
  | { type: 'symlink'; path: string; target: string }
  | { type: 'whiteout'; path: string };

export interface ServiceManager {
  readonly name: 'systemd' | 'openrc';
  /** The services of the image, sorted, as a person writes them. */
  list(): Promise<string[]>;
  /**
   * What makes a service start at boot; nothing if it does already.
   * @throws BladerootError `UNKNOWN_SERVICE`, `SERVICE_MASKED`, `SERVICE_TEMPLATE`
   */
  start(service: string): Promise<OverlayEdit[]>;
  /**
   * What keeps a service from starting at boot; nothing if it does not anyway.
   * @throws BladerootError `UNKNOWN_SERVICE`
   */
  stop(service: string): Promise<OverlayEdit[]>;
  /**
   * What starts at boot and starts this one with it, sorted; none when nothing does, or the image has no such service. Stopping a
   * service takes it from what starts by itself, not from those that need it.
   */
  startedBy(service: string): Promise<string[]>;
}

/** `UNKNOWN_SERVICE`, with the nearest of the services that there are. */
export async function unknownService(manager: ServiceManager, service: string): Promise<BladerootError> {
  const known = await manager.list();
  const near = nearest(service, known, 3);
  const alike = near.length > 0 ? near : known.filter((name) => name.includes(service));
  const its = `its ${manager.name} knows ${known.length} services`;
  return new BladerootError('UNKNOWN_SERVICE', `the image has no service ${service}`, {
    hint: alike.length > 0 ? `${its}, the nearest: ${nameList(alike, 5)}` : `${its}: ${nameList(known, 20)}`,
  });
}
