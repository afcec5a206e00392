/** `--target a,b`: several stages in one graph, each an image with names (`-t a=NAME`) and outputs (`-o a=...`) of its own. */
import { join } from 'node:path';
import type { BuildRequest, OutputRequest, TargetRequest } from '#engine/build-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Surroundings } from '../command.ts';
import { readOutputs, toStream } from './build-output.ts';

type Given = {
  readonly target: string | undefined;
  readonly tags: readonly string[];
  readonly outputs: readonly string[];
  readonly push: boolean;
  readonly load: boolean;
};
type Around = Pick<Surroundings, 'currentFolder' | 'streams'>;
type Read = Pick<BuildRequest, 'target' | 'targets' | 'tags' | 'outputs'>;

/** Throws `cli/usage` for what says not which target it is of, or of one that is not built, and what reading outputs throws. */
export function readTargets(given: Given, around: Around, signal: AbortSignal): Read {
  const names = [...new Set((given.target ?? '').split(',').filter((name) => name !== ''))];
  const tags = given.tags.map((tag) => readTag(tag, names));
  if (names.length < 2) {
    const [target] = names;
    return { target, tags: tags.map(({ tag }) => tag), outputs: readOutputs(given, around, signal) };
  }
  const vague = tags.find(({ target }) => target === undefined);
  if (vague !== undefined)
    throw new JettisonError('cli/usage', `"-t ${vague.tag}" does not say which of the targets it names: ${listed(names)}`, {
      hint: `Write "-t ${names[0] ?? ''}=${vague.tag}"`,
    });
  const targets = names.map((target): TargetRequest => {
    const own = tags.filter((tag) => tag.target === target).map(({ tag }) => tag);
    return { target, tags: own, outputs: outputsOf(target, names, { given, around }, signal) };
  });
  const outputs = targets.flatMap((target) => target.outputs);
  if (outputs.filter(toStream).length > 1) throw new JettisonError('cli/usage', 'Only one output can go to standard output');
  return { target: undefined, targets, tags: tags.map(({ tag }) => tag), outputs };
}

/** No name of an image has `=` in it. */
function readTag(given: string, names: readonly string[]): { readonly target: string | undefined; readonly tag: string } {
  const { target, rest } = addressed(given, names);
  if (target !== undefined) return { target, tag: rest };
  const [, other] = /^([\w.-]+)=./u.exec(given) ?? [];
  if (other === undefined) return { target: undefined, tag: given };
  throw new JettisonError('cli/usage', `"-t ${given}" names the target "${other}", which is not built`, {
    hint: names.length === 0 ? `Add "--target ${other}"` : `Targets are ${listed(names)}`,
  });
}

/** `TARGET=REST`. */
function addressed(given: string, names: readonly string[]): { readonly target: string | undefined; readonly rest: string } {
  const equals = given.indexOf('=');
  const word = given.slice(0, Math.max(0, equals)).toLowerCase();
  const target = names.find((name) => name.toLowerCase() === word);
  return { target, rest: target === undefined ? given : given.slice(equals + 1) };
}

function outputsOf(
  target: string,
  names: readonly string[],
  { given, around }: { readonly given: Given; readonly around: Around },
  signal: AbortSignal,
): readonly OutputRequest[] {
  const words = given.outputs.map((text) => ({ text, ...addressed(text, names) }));
  const own = words.filter((word) => word.target === undefined || word.target === target);
  const read = readOutputs({ ...given, outputs: own.map(({ rest }) => rest) }, around, signal);
  // Behind those that were typed stand --push and --load.
  return read.map((output, at) => {
    const word = own[at];
    return word === undefined || word.target !== undefined ? output : ofAll(output, word.text, target);
  });
}

/** An output that says of no target that it is its: folders have a folder for each, as they have for platforms; a file and a name are of one. */
function ofAll(output: OutputRequest, text: string, target: string): OutputRequest {
  if (output.kind === 'none' || (output.kind === 'image' && output.names === undefined)) return output;
  if (output.kind === 'local')
    return { ...output, destination: { ...output.destination, path: join(output.destination.path, target.toLowerCase()) } };
  throw new JettisonError('cli/usage', `"-o ${text}" is one place for several targets`, {
    hint: `Say whose it is: "-o ${target}=${text}"`,
  });
}

function listed(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}
