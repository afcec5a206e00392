/** The arguments of COPY and ADD: sources, here-documents among them, and a destination. */
import type { AddInstruction, CopyInstruction, CopySource, Heredoc, Word } from '../ast.ts';
import { flagSwitch, flagWord, flagWords, type FlagTable } from './flags.ts';
import { parseHeredocHead } from './heredoc.ts';
import { fault, readList, type Reading } from './reading.ts';

const commonFlags: FlagTable = { chown: 'text', chmod: 'text', link: 'switch', exclude: 'texts' };
export const copyFlags: FlagTable = { ...commonFlags, from: 'text', parents: 'switch', libs: 'switch' };
export const addFlags: FlagTable = { ...commonFlags, 'keep-git-dir': 'switch', checksum: 'text', unpack: 'switch' };

/** Sources and destination of COPY and ADD; undefined when a fault was reported. */
function readCopyCommon(reading: Reading) {
  const words = readList(reading);
  if (!words) return undefined;
  const destination = words.at(-1);
  if (!destination || words.length < 2)
    return fault(
      reading,
      `${reading.name} requires at least two arguments, but only one was provided. Destination could not be determined`,
      `Write ${reading.name} source destination`,
    );
  const { flags, heredocs } = reading.common;
  if (heredocs.length > 0 && parseHeredocHead(destination.text))
    return fault(reading, `${reading.name} cannot accept a heredoc as a destination`, 'Put the destination last', destination.span);
  const paths = words.slice(0, -1);
  const sources = heredocs.length > 0 ? readSources(paths, heredocs) : paths.map((path) => ({ kind: 'path', path }) as const);
  return {
    ...reading.common,
    sources,
    destination,
    chown: flagWord(flags, 'chown'),
    chmod: flagWord(flags, 'chmod'),
    link: flagSwitch(flags, 'link') ?? false,
    exclude: flagWords(flags, 'exclude'),
  };
}

function readSources(words: readonly Word[], heredocs: readonly Heredoc[]): readonly CopySource[] {
  const byName = new Map(heredocs.map((each) => [each.name, each]));
  return words.map((word) => {
    const head = parseHeredocHead(word.text);
    const heredoc = head && byName.get(head.name);
    return heredoc ? { kind: 'heredoc', heredoc, word } : { kind: 'path', path: word };
  });
}

/** undefined when a fault was reported. */
export function readCopy(reading: Reading): CopyInstruction | undefined {
  const common = readCopyCommon(reading);
  const { flags } = reading.common;
  const libs = flagSwitch(flags, 'libs') === true ? flags.find(({ name }) => name === 'libs') : undefined;
  return common && { ...common, kind: 'copy', from: flagWord(flags, 'from'), parents: flagSwitch(flags, 'parents') ?? false, libs };
}

/** undefined when a fault was reported. */
export function readAdd(reading: Reading): AddInstruction | undefined {
  const common = readCopyCommon(reading);
  const { flags } = reading.common;
  return (
    common && {
      ...common,
      kind: 'add',
      checksum: flagWord(flags, 'checksum'),
      keepGitFolder: flagSwitch(flags, 'keep-git-dir'),
      unpack: flagSwitch(flags, 'unpack'),
    }
  );
}
