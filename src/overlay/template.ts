import { Liquid, LiquidError } from 'liquidjs';
import { BladerootError } from '../errors.ts';
import { networkAt, type ResolvedBlade } from '../fleet/resolve.ts';
import type { Fleet } from '../fleet/schema.ts';
import { didYouMean, nameList } from '../fleet/nearest.ts';

/** What templates can name. What a fleet may leave out is null, so that a template can ask for it. */
export type TemplateData = Readonly<Record<string, unknown>>;

/** The data of the templates of one blade. */
export function templateData(
  blade: ResolvedBlade,
  blades: readonly ResolvedBlade[],
  fleet: Fleet,
  release: Readonly<Record<string, unknown>> | undefined,
): TemplateData {
  const { prefixLength, netmask } = blade;
  const own = networkAt(fleet, blade.address);
  const network = { gateway: null, domain: null, ...own, prefixLength, netmask };
  return {
    blade: forTemplates(blade),
    blades: blades.map(forTemplates),
    fleet: { name: fleet.name, network },
    network,
    vars: blade.vars,
    ...(release === undefined ? {} : { release }),
  };
}

function forTemplates(blade: ResolvedBlade): Record<string, unknown> {
  const identity = { mac: null, serial: null, guid: null, recipient: null };
  return { gateway: null, domain: null, ...identity, ...blade, disk: { slot: null, ...blade.disk } };
}

/** A template is given all that it needs, and reads no other files; the same blade gives the same text anywhere. */
const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  templates: {},
  locale: 'en-US',
  timezoneOffset: 0,
});

/**
 * Renders a Liquid template.
 * @param file its name, for errors
 * @throws BladerootError `TEMPLATE_INVALID` with file and line, for a variable or filter that there is not as well.
 */
export async function renderTemplate(text: string, data: TemplateData, file: string): Promise<string> {
  try {
    return String(await liquid.parseAndRender(text, data));
  } catch (error) {
    if (!LiquidError.is(error)) throw error;
    const [line] = error.token.getPosition();
    throw new BladerootError('TEMPLATE_INVALID', `${file}:${line}: ${explain(error, data)}`, {
      cause: error,
    });
  }
}

function explain(error: LiquidError, data: TemplateData): string {
  const said = error.message.replace(/, line:\d+, col:\d+$/, '');
  const [, variable] = /^undefined variable: (.*)$/.exec(said) ?? [];
  return variable === undefined ? said : unknownVariable(variable, data);
}

/** Names what there is beside the part of `blade.nam` that there is not. */
function unknownVariable(variable: string, data: TemplateData): string {
  const parts = variable.split('.');
  let around: object = data;
  let depth = 0;
  for (; depth < parts.length - 1; depth++) {
    const inner: unknown = Reflect.get(around, parts[depth] ?? '');
    if (typeof inner !== 'object' || inner === null) break;
    around = inner;
  }
  const known = Object.keys(around);
  const where = depth === 0 ? 'known' : `known in ${parts.slice(0, depth).join('.')}`;
  return `there is no variable ${variable}${didYouMean(parts[depth] ?? '', known)}; ${where}: ${nameList(known, 30)}`;
}
