import { withoutSections } from './elf.ts';
import { thinIcuData } from './icu-data.ts';

/**
 * Node for an initrd: it runs the agent alike, and takes a good third less. Its symbols are left out, and ICU's data for
 * other languages than English and other character sets than Unicode's; a blade's own Node has them.
 * @throws BladerootError `ELF`
 */
export function slimNode(node: Buffer): Buffer {
  return thinIcuData(withoutSections(node), isNeeded);
}

/** ICU's own tables, and what is there in all languages. */
function isNeeded(name: string): boolean {
  if (/\.(cnv|cfu|spp|dict)$/.test(name) || /^(translit|rbnf)\//.test(name)) return false;
  const [, base = ''] = /([^/]*)\.res$/.exec(name) ?? [];
  // Locales: de, de_AT, sr_Latn_RS. All other names of resources are longer, such as zoneinfo64.
  const isLocale = /^[a-z]{2,3}(_.*)?$/.test(base);
  return !isLocale || base === 'en' || base === 'en_US';
}
