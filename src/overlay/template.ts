import { Liquid, LiquidError, type Template as Parsed } from 'liquidjs';
import { BladerootError } from '../errors.ts';
import { didYouMean, nameList } from '../fleet/nearest.ts';

/** What templates can name. What a fleet may leave out is null, so that a template can ask for it. */
export type TemplateData = Readonly<Record<string, unknown>>;

/** A template is given all that it needs, and reads no other files; the same blade gives the same text anywhere. */
const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  templates: {},
  locale: 'en-US',
  timezoneOffset: 0,
});

/** A Liquid template, parsed once for all blades. */
export class Template {
  /** What it asks for of the data, such as `blade` and `vars`, sorted. */
  readonly names: readonly string[];
  readonly #parsed: Parsed[];
  readonly #file: string;

  /**
   * @param file its name, for errors
   * @throws BladerootError `TEMPLATE_INVALID` with file and line
   */
  constructor(text: string, file: string) {
    this.#file = file;
    [this.#parsed, this.names] = this.#explained({}, () => {
      const parsed = liquid.parse(text);
      return [parsed, liquid.globalVariablesSync(parsed, { partials: false }).sort()];
    });
  }

  /** @throws BladerootError `TEMPLATE_INVALID` with file and line, for a variable or filter that there is not as well. */
  render(data: TemplateData): string {
    return this.#explained(data, () => String(liquid.renderSync(this.#parsed, data)));
  }

  #explained<T>(data: TemplateData, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!LiquidError.is(error)) throw error;
      const [line] = error.token.getPosition();
      throw new BladerootError('TEMPLATE_INVALID', `${this.#file}:${line}: ${explain(error, data)}`, {
        cause: error,
      });
    }
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
