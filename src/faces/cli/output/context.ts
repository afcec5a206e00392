/** What `jettison context` prints for people. */
import type { ContextListing, ListedContext, ListedFile, ListedUse } from '#engine/context-requests.ts';
import { isUnused, sumOf } from '#faces/documents/make-context.ts';
import { formatSize } from '#ground/base/human.ts';
import { formatTable } from './table.ts';
import { harmless } from './text.ts';

const mostFolders = 10;
const mostLargest = 5;

/** Sums: what is sent and what is not, by rule, by instruction, by folder; and the largest files. */
export function contextSummary({ contexts, file, missing }: ContextListing): string {
  const parts = contexts.map((context) => [
    `${nameOf(context)}: ${context.folder}${context.ignoreFile === undefined ? ', nothing is ignored' : ''}`,
    ...table('', [
      row('sent', 'sent', context.files),
      row('ignored', 'ignored', context.files),
      row('sent, and taken by nothing', 'unused', context.files),
    ]),
    ...rulesOf(context),
    ...usesOf(context, file),
    ...foldersOf(context),
    ...largestOf(context),
    ...context.closed.map((path) => `not listed, since it may not be read: ${path}`),
    '',
  ]);
  return `${[...parts.flat(), ...missing.map((one) => `not there: ${one}`)]
    .map((line) => harmless(line, false))
    .join('\n')
    .trimEnd()}\n`;
}

/** One file a line: size, path, and why. */
export function contextFiles({ contexts, file }: ContextListing, which: 'ignored' | 'unused' | 'both'): string {
  const isWanted = (one: ListedFile): boolean => (which !== 'unused' && one.isIgnored) || (which !== 'ignored' && isUnused(one));
  const rows = contexts.flatMap((context) =>
    context.files
      .filter(isWanted)
      .map((one) => [
        formatSize(one.size),
        shownPath(context, contexts.length, one.path),
        one.isIgnored ? decided(one) : `taken by nothing of ${file}`,
      ]),
  );
  return rows.length === 0 ? '' : harmlessTable(rows);
}

/** Why a file, or what is in a folder, is part of the build; undefined where nothing is there. `path`: in the context. */
export function contextReason({ contexts, file }: ContextListing, path: string): string | undefined {
  const lines = contexts.flatMap((context) => {
    const below = path === '' ? '' : `${path}/`;
    const named = context.files.filter((one) => one.path === path || one.path.startsWith(below));
    const shown = named.slice(0, mostReasons).map((one) => {
      const uses = one.isIgnored
        ? []
        : one.takenBy.length === 0
          ? ['taken by nothing']
          : one.takenBy.map((use) => `taken by ${useText(use, file)}`);
      return [`${shownPath(context, contexts.length, one.path)}: ${one.isIgnored ? 'ignored' : 'sent'}, ${decided(one)}`, ...uses].join(
        '; ',
      );
    });
    return named.length > mostReasons ? [...shown, `and ${named.length - mostReasons} more`] : shown;
  });
  return lines.length === 0 ? undefined : lines.map((line) => `${harmless(line, false)}\n`).join('');
}

const mostReasons = 100;

function nameOf({ name }: ListedContext): string {
  return name === 'context' ? 'build context' : `build context "${name}"`;
}

function shownPath({ name }: ListedContext, contexts: number, path: string): string {
  return contexts > 1 ? `${name}:${path}` : path;
}

function decided({ rule, isIgnored }: ListedFile): string {
  if (rule === undefined) return isIgnored ? 'ignored' : 'no rule names it';
  return `${rule.file}:${rule.line} (${rule.pattern})`;
}

function useText({ text, line }: ListedUse, file: string): string {
  return `${text.replaceAll(/\s*\n\s*/gu, ' ')}${line === undefined ? '' : ` (${file}:${line})`}`;
}

type Row = readonly [name: string, files: readonly ListedFile[]];

function row(name: string, what: 'sent' | 'ignored' | 'unused', files: readonly ListedFile[]): Row {
  const isOf = what === 'unused' ? isUnused : ({ isIgnored }: ListedFile): boolean => isIgnored === (what === 'ignored');
  return [name, files.filter(isOf)];
}

/** Nothing where there is no row. */
function table(title: string, rows: readonly Row[]): readonly string[] {
  if (rows.length === 0) return [];
  const cells = rows.map(([name, files]) => {
    const { files: count, bytes } = sumOf(files);
    return [`  ${formatSize(bytes)}`, `${count} ${count === 1 ? 'file' : 'files'}`, harmless(name, false)];
  });
  return [...(title === '' ? [] : [title]), ...formatTable(cells).trimEnd().split('\n')];
}

function groups(files: readonly ListedFile[], namesOf: (file: ListedFile) => readonly string[]): readonly Row[] {
  const found = new Map<string, ListedFile[]>();
  for (const file of files) {
    for (const name of namesOf(file)) {
      const known = found.get(name);
      if (known === undefined) found.set(name, [file]);
      else known.push(file);
    }
  }
  return [...found];
}

function rulesOf({ files }: ListedContext): readonly string[] {
  return table(
    'ignored by',
    groups(files, (file) => (file.isIgnored ? [decided(file)] : [])),
  );
}

function usesOf({ files }: ListedContext, dockerfile: string): readonly string[] {
  return table(
    'taken by',
    groups(files, (file) => (file.isIgnored ? [] : file.takenBy.map((use) => useText(use, dockerfile)))),
  );
}

/** Of what is sent, by the first folder, largest first. */
function foldersOf({ files }: ListedContext): readonly string[] {
  const sent = files.filter(({ isIgnored }) => !isIgnored);
  const rows = groups(sent, ({ path }) => (path.includes('/') ? [path.slice(0, path.indexOf('/') + 1)] : []));
  const sorted = rows.toSorted(([, a], [, b]) => sumOf(b).bytes - sumOf(a).bytes);
  const more = sorted.length - mostFolders;
  return [...table('sent, by folder', sorted.slice(0, mostFolders)), ...(more > 0 ? [`  and ${more} more folders`] : [])];
}

function largestOf(context: ListedContext): readonly string[] {
  const sent = context.files.filter(({ isIgnored, size }) => !isIgnored && size > 0);
  const largest = sent.toSorted((a, b) => b.size - a.size).slice(0, mostLargest);
  return largest.length === 0
    ? []
    : [
        'largest that are sent',
        ...harmlessTable(largest.map(({ size, path }) => [`  ${formatSize(size)}`, path]))
          .trimEnd()
          .split('\n'),
      ];
}

function harmlessTable(rows: readonly (readonly string[])[]): string {
  return formatTable(rows.map((cells) => cells.map((cell) => harmless(cell, false))));
}
