import { BladerootError } from '../../errors.ts';
import { followLinks, type ImageFiles } from '../../image/files.ts';
import { OpenRc } from './openrc.ts';
import type { ServiceManager } from './service-manager.ts';
import { Systemd } from './systemd.ts';

/** The service manager that an image boots with: the one its /sbin/init is, else the one that is installed. */
export async function findServiceManager(image: ImageFiles): Promise<ServiceManager | undefined> {
  const init = await followLinks(image, 'sbin/init');
  if (init?.endsWith('/systemd') === true) return new Systemd(image);
  if ((await image.list('etc/runlevels')).length > 0) return new OpenRc(image);
  for (const path of ['usr/lib/systemd/systemd', 'lib/systemd/systemd']) {
    if ((await followLinks(image, path)) !== undefined) return new Systemd(image);
  }
  return undefined;
}

/** @throws BladerootError `NO_SERVICE_MANAGER` */
export async function detectServiceManager(image: ImageFiles): Promise<ServiceManager> {
  const found = await findServiceManager(image);
  if (found !== undefined) return found;
  throw new BladerootError('NO_SERVICE_MANAGER', 'the image has neither systemd nor OpenRC', {
    hint: 'install one of them in the tree (Debian: apt install systemd-sysv) and pack it again',
  });
}
