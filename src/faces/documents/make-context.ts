/** The document of `jettison context --json` from what was listed. */
import type { ContextListing, ListedContext, ListedFile } from '#engine/context-requests.ts';
import type { ContextDocument, ContextFileDocument, ContextFolderDocument, ContextSum } from './context.ts';

export function contextDocument({ file, contexts, missing }: ContextListing): ContextDocument {
  return { version: 1, dockerfile: file, contexts: contexts.map(folderDocument), missing };
}

function folderDocument({ name, folder, ignoreFile, files, closed }: ListedContext): ContextFolderDocument {
  return {
    name,
    folder,
    ignoreFile: ignoreFile ?? null,
    sent: sumOf(files.filter(({ isIgnored }) => !isIgnored)),
    ignored: sumOf(files.filter(({ isIgnored }) => isIgnored)),
    unused: sumOf(files.filter(isUnused)),
    files: files.map(fileDocument),
    closed,
  };
}

function fileDocument({ path, kind, size, isIgnored, rule, takenBy }: ListedFile): ContextFileDocument {
  return {
    path,
    kind,
    size,
    state: isIgnored ? 'ignored' : 'sent',
    rule: rule === undefined ? null : { file: rule.file, line: rule.line, pattern: rule.pattern },
    takenBy: takenBy.map(({ text, stage, line }) => ({ instruction: text, stage: stage ?? null, line: line ?? null })),
  };
}

export function isUnused({ isIgnored, takenBy }: ListedFile): boolean {
  return !isIgnored && takenBy.length === 0;
}

export function sumOf(files: readonly ListedFile[]): ContextSum {
  return { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}
