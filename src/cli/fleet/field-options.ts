/** The fields of the schema as options of a command: `boot.timeout` is `--boot-timeout`. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { fieldNamed, fieldsOf, parseValue, type Field, type Noun } from '../../fleet/fields.ts';

/** What the options say: keys from the blade or profile down, and the value. */
export interface GivenField {
  path: readonly string[];
  value: unknown;
}

export function withFieldOptions(command: Command, noun: Noun): Command {
  for (const field of fieldsOf(noun)) command.addOption(optionOf(field));
  return command;
}

/** @throws BladerootError `BAD_VALUE` */
export function givenFields(command: Command, noun: Noun): GivenField[] {
  const options = command.opts<Record<string, unknown>>();
  return fieldsOf(noun).flatMap((field): GivenField[] => {
    const given = options[optionOf(field).attributeName()];
    const texts = Array.isArray(given) ? given.map(String) : [];
    if (texts.length === 0) return [];
    if (field.kind !== 'map') {
      return [{ path: field.path, value: parseValue({ field, path: field.path }, texts) }];
    }
    return texts.map((text) => {
      const equals = text.indexOf('=');
      const named = fieldNamed(noun, `${field.name}.${text.slice(0, equals)}`);
      return { path: named.path, value: parseValue(named, [text.slice(equals + 1)]) };
    });
  });
}

function optionOf({ name, kind, description }: Field): Option {
  const flag = name.replaceAll('.', '-').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const isList = kind === 'list' || kind === 'one-or-more';
  const more = isList ? '; given again and again, or as [a, b], for several' : '';
  const value = kind === 'map' ? 'name=value' : kind === 'number' ? 'number' : 'value';
  return new Option(`--${flag} <${value}>`, description + more).argParser<string[]>((text, before) => {
    if (kind === 'map' && !/^[^=]+=/.test(text))
      throw new InvalidArgumentError('It is written as NAME=VALUE.');
    return [...(before ?? []), text];
  });
}
