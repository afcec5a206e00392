/** What the `inspect` commands have in common. */
import type { Engine } from '#engine/open.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { isJsonObject } from '#ground/base/decode.ts';
import type { Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { goJson } from '#ground/base/go-json.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';
import { forReader } from '../output/text.ts';
import { forEachName } from './for-each-name.ts';

/** Documents of images leave these out where they are empty; templates may name them all the same. */
const leftOut = { Variant: '', OsVersion: '' };

type Wanted = { readonly names: readonly string[]; readonly format: string | undefined };

/** Prints what `look` gives for each name: as one list, or by a template each. What was found is printed, also when some names were not. Gives the exit code. */
export async function inspectEach(
  { names, format }: Wanted,
  around: Surroundings,
  look: (engine: Engine, name: string) => Json | Promise<Json>,
): Promise<number> {
  const template = format === undefined || format === '' || format === 'json' ? undefined : compileTemplate(unescapeFormat(format));
  await using engine = await engineFor(around);
  const found: Json[] = [];
  const code = await forEachName(names, around.streams, async (name) => {
    const value = await look(engine, name);
    if (template) around.streams.stdout.write(`${forReader(around.streams.stdout, template(withLeftOut(value)))}\n`);
    else found.push(value);
  });
  if (!template) around.streams.stdout.write(`${goJson(found, format === 'json' ? 0 : 4)}\n`);
  return code;
}

function withLeftOut(value: Json): Json {
  return isJsonObject(value) && 'RootFS' in value ? { ...leftOut, ...value } : value;
}
