/** The balancer of examples/web-and-mail before a web blade: the nginx of both, each in the tree that its blade would have. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { goldenTreeIfThere } from '../lab/demo/golden-tree.ts';
import { loadFleet } from '../src/fleet/load.ts';
import { resolveFleet } from '../src/fleet/resolve.ts';
import { DirectoryFiles } from '../src/image/files.ts';
import { applyOverlay } from '../src/overlay/apply.ts';
import { encodeOverlay } from '../src/overlay/archive.ts';
import { isSecret } from '../src/overlay/entry.ts';
import { renderOverlay } from '../src/overlay/render.ts';
import { assetPath } from '../src/system/asset.ts';
import { run } from '../src/system/run.ts';
import { inNamespaces } from '../src/tree/namespaces.ts';

const EXAMPLE = join(dirname(import.meta.dirname), 'examples/web-and-mail');
const LABS = join(dirname(import.meta.dirname), '.lab');
const golden = await goldenTreeIfThere(join(LABS, 'cache'), 'web-and-mail');
const skip = golden === undefined ? 'its tree is not there yet; `npm run test:example` makes it' : false;

/** The tree as a blade has it; its files are those of the golden tree itself, of which nothing is written. */
async function treeOf(t: TestContext, name: string): Promise<string> {
  const tree = await mkdtemp(join(LABS, 'example-'));
  t.after(() => rm(tree, { recursive: true, force: true }));
  await run('cp', ['--archive', '--link', `${golden}/.`, tree]);
  const fleet = await loadFleet(EXAMPLE);
  const blades = resolveFleet(fleet);
  const blade = blades.find((one) => one.name === name);
  assert.ok(blade !== undefined);
  const image = new DirectoryFiles(tree);
  const entries = await renderOverlay({ blade, fleet, blades, fleetDir: EXAMPLE, image });
  await applyOverlay(encodeOverlay(entries.filter((entry) => !isSecret(entry))), tree);
  return tree;
}

test(
  'the balancer hands on what a web blade serves, also when the other one is away',
  { skip },
  async (t) => {
    const [balancer, web] = [await treeOf(t, 'balancer01'), await treeOf(t, 'web02')];
    // nginx comes back once it listens, and ends with the namespace.
    const script = `
    ip link set lo up
    ip address add 10.20.0.11/32 dev lo
    ip address add 10.20.0.22/32 dev lo
    for tree in "$balancer" "$web"; do
      mount -t tmpfs tmpfs "$tree/var/log/nginx"
      sh "$enter" "$tree" nginx
    done
    for request in 1 2 3; do curl --silent --show-error --fail --max-time 20 http://10.20.0.11/; done`;
    const [program, args] = inNamespaces(['unshare', '--net', 'sh', '-euc', script]);
    const { stdout } = await run(program, args, {
      env: { balancer, web, enter: assetPath('tree/enter.sh') },
    });
    assert.equal(stdout.match(/<h1>web02 serves<\/h1>/g)?.length, 3, stdout);
  },
);
