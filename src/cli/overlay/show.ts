import type { Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { followLinks } from '../../image/files.ts';
import { octal, textOf, thingAt, type Thing } from '../../overlay/changes.ts';
import type { LaidOver } from '../../overlay/laid-over.ts';
import { contextOf } from '../command.ts';
import { bytes } from '../output.ts';
import { bladeLeaf, withBladeRoot, type SnapshotOption } from './blade-root.ts';

export function showCommand(signal: AbortSignal): Command {
  return bladeLeaf('show', 'print a file as a blade will have it', [
    'bladeroot overlay show web01 /etc/nginx/nginx.conf',
    'bladeroot overlay show web01 /etc/hosts --json    # with mode, owner and where it comes from',
  ])
    .argument('<path>', 'the file on the blade')
    .action(async (blade: string, path: string, options: SnapshotOption, command: Command) => {
      const context = contextOf(command, signal);
      await withBladeRoot(context, blade, options, async (root) => {
        const { real, thing } = await find(root, blade, path);
        if (root.isSecret(real)) throw isSecretFile(real, root.originOf(real) ?? '');
        const origin = root.originOf(real) ?? 'the image';
        const text = textOf(thing);
        const { type, mode, uid, gid, size, target, content } = thing;
        const said = text === undefined ? { content64: content?.toString('base64') } : { content: text };
        context.output.result(
          {
            path: real,
            type,
            mode: octal(mode),
            uid,
            gid,
            origin,
            ...(type === 'file' ? { size, ...said } : {}),
            ...(target === undefined ? {} : { target }),
          },
          text === undefined
            ? `binary, ${bytes(size)}; --json prints it in base64`
            : type === 'dir'
              ? (await root.list(real)).join('\n')
              : text.replace(/\n$/, ''),
        );
      });
    });
}

/** A file by its path; a link that leads somewhere is followed. */
async function find(root: LaidOver, blade: string, path: string): Promise<{ real: string; thing: Thing }> {
  const plain = path.replace(/^\/+|\/+$/g, '');
  const real = (await followLinks(root, plain)) ?? plain;
  const thing = await thingAt(root, real);
  if (thing !== undefined) return { real, thing };
  const deletion = root.entries().find((entry) => entry.type === 'whiteout' && isWithin(plain, entry.path));
  throw new BladerootError('NO_SUCH_FILE', `${blade} has no /${plain}`, {
    hint:
      deletion === undefined
        ? '`bladeroot overlay list` shows what is laid over the image'
        : `/${deletion.path} is deleted by ${deletion.origin}`,
  });
}

/** @param file in the fleet folder, such as `overlays/web/secrets/etc/ssl/key.pem.age` */
function isSecretFile(path: string, file: string): BladerootError {
  const [, overlay = ''] = file.split('/');
  return new BladerootError('IS_SECRET', `/${path} is a secret (${file}), which only the blade decrypts`, {
    hint: `\`bladeroot secret show ${overlay} /${path} --identity FILE\` shows it to who has an identity that can read it`,
  });
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}
