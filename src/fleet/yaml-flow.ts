/** Values on one line of YAML: `{ mac: "52:54:00:00:00:09", profile: [web, db] }`. Pure. */
import { Document, isMap, isScalar } from 'yaml';

/** As a person would write it; strings stay strings for every reader, in whatever version of YAML, block or flow. */
export function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).map(([key, item]) => `${flow(key)}: ${flow(item)}`);
    return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`;
  }
  return scalar(value);
}

const MAC = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i;
const BEFORE = '{ k: ';
const BEHIND = ' }';

function scalar(value: unknown): string {
  const document = new Document({ k: value }, { compat: 'yaml-1.1' });
  const map = document.contents;
  if (isMap(map)) {
    map.flow = true;
    const node = map.get('k', true);
    // Some are numbers to the base of 60 in YAML 1.1: all look alike.
    if (isScalar(node) && typeof value === 'string' && MAC.test(value)) node.type = 'QUOTE_DOUBLE';
    else if (isScalar(node) && typeof value === 'string' && value.includes('\n')) node.type = 'QUOTE_DOUBLE';
  }
  return document
    .toString({ lineWidth: 0, minContentWidth: 0 })
    .trimEnd()
    .slice(BEFORE.length, -BEHIND.length);
}
